"""Whether a mount's name can come to lead to another owner's mount, from the table alone."""

import pytest

from fusermount_py.helper.mount_entry import parse
from fusermount_py.helper.stable_name import neighbours

ROOT = "1 0 8:1 / / rw - ext4 /dev/sda1 rw"
HOME = "2 1 8:2 / /home rw - ext4 /dev/sda2 rw"
PROC = "3 1 0:20 / /proc rw - proc proc rw"
DISK = "4 2 0:21 / /home/me/disk rw - tmpfs disk rw"
COVERED = "5 2 0:22 / /home/me/mnt rw - tmpfs covered rw"


def fuse(number: int, parent: int, mountpoint: str, owner: int = 1000) -> str:
    options = f"rw,user_id={owner},group_id=1000"
    return f"{number} {parent} 0:{number} / {mountpoint} rw - fuse.x x {options}"


def told(*lines: str, mount: str, directory: int = 2) -> list[str] | None:
    """The mountpoints of the neighbours of `mount`, whose name lies in mount `directory`."""
    table = [line.encode() for line in (*lines, mount)]
    found = neighbours(table, parse(mount.encode()), directory)
    return None if found is None else [entry.mountpoint for entry, _ in found]


MINE = fuse(10, 2, "/home/me/mnt")


def test_what_lies_on_another_mount_is_no_neighbour() -> None:
    """
    No name in this directory can lead there; else every machine's /proc would be one.
    """
    assert [] == told(ROOT, HOME, PROC, mount=MINE)


def test_what_lies_on_the_same_mount_is_a_neighbour() -> None:
    """
    Whoever may write to both directories exchanges the two.
    """
    assert ["/home/me/disk"] == told(ROOT, HOME, PROC, DISK, mount=MINE)


def test_ones_own_are_no_neighbours() -> None:
    """
    Whose name is exchanged for another of the same owner's loses what is the owner's to take.
    """
    assert [] == told(ROOT, HOME, fuse(11, 2, "/home/me/other"), mount=MINE)


@pytest.mark.parametrize("owner", [0, 100, 10001])
def test_another_users_is_a_neighbour(owner: int) -> None:
    """
    User 1000 is the whole number.
    """
    assert ["/home/b"] == told(ROOT, HOME, fuse(11, 2, "/home/b", owner), mount=MINE)


def test_another_owners_below_is_no_question() -> None:
    """
    It has the name as soon as the mount is gone.
    """
    assert told(ROOT, HOME, COVERED, mount=fuse(10, 5, "/home/me/mnt")) is None


def test_ones_own_below_is_ones_own() -> None:
    """
    What two unmounts at once take then is both the owner's.
    """
    below = fuse(9, 2, "/home/me/mnt")

    assert [] == told(ROOT, HOME, below, mount=fuse(10, 9, "/home/me/mnt"))


def test_anothers_on_another_mount_of_ones_own_is_no_question() -> None:
    """
    That mount's directory takes the name, and what is on top of it is another's.
    """
    other = fuse(11, 2, "/home/me/other")
    on_it = "12 11 0:30 / /home/me/other rw - tmpfs x rw"

    assert told(ROOT, HOME, other, on_it, mount=MINE) is None


def test_what_lies_inside_the_mount_itself_is_none() -> None:
    """
    It keeps the mount busy, and its name leads through the mount.
    """
    inside = "12 10 0:30 / /home/me/mnt/inside rw - tmpfs x rw"

    assert [] == told(ROOT, HOME, inside, mount=MINE)


@pytest.mark.parametrize(
    "source", ["x,user_id=1000,", "-\\040fuse\\040x\\040rw,user_id=1000", "fuse", "user_id=1000"]
)
def test_a_name_makes_nobody_the_owner(source: str) -> None:
    """
    The owner is read where the kernel writes it.
    """
    other = f"11 2 0:11 / /home/{source} rw - tmpfs {source} rw"

    assert told(ROOT, HOME, other, mount=MINE) not in ([], None)


def test_of_what_is_no_fuse_mount_all_others_are_neighbours() -> None:
    """
    Root may take any; by its own name only.
    """
    mine = fuse(11, 2, "/home/me/mnt", 0)

    assert ["/home/me/mnt"] == told(ROOT, HOME, mine, mount=DISK)


def test_a_mount_whose_place_is_not_in_the_table_is_no_question() -> None:
    """
    Below a chroot, or while the table changes: what is not known is not believed.
    """
    assert told(MINE, mount=fuse(20, 19, "/x"), directory=2) is None


def test_a_neighbour_is_whose_all_of_it_is() -> None:
    """
    What has another mount on top brings that one along, and it may be root's.
    """
    theirs, on_it = fuse(11, 2, "/home/b/x", 1001), "12 11 0:30 / /home/b/x rw - tmpfs x rw"
    mine = parse(MINE.encode())

    def owners(*lines: str) -> list[int] | None:
        found = neighbours([line.encode() for line in (ROOT, HOME, MINE, *lines)], mine, 2)
        return None if found is None else [owner for _, owner in found]

    assert [1001] == owners(theirs)
    assert [0] == owners(theirs, on_it)
    assert [0] == owners(DISK)
