"""Unmounting: the topmost mount at the path, if it is the caller's (contract, section 8)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.flows import said
from support.mount_table import mount_at, mounts_at
from support.peer import Peer
from support.program import Program, Result
from support.users import ROOT, User

SUCCESS = Result(0, b"", b"")
EACH_WAY = pytest.mark.parametrize("options", [(), ("-z",)], ids=["plain", "lazy"])


def refusal(path: object) -> Result:
    return Result(1, b"", said(f"entry for {path} not found in /etc/mtab"))


@pytest.fixture
def served(ours: Program, caller: User, mountpoint: Path) -> Peer:
    """The server of a mount at `mountpoint`."""
    result = ours.mount(mountpoint, "fsname=served", user=caller)
    assert result.device is not None
    peer = ours.serve(result.device)
    result.device.close()
    return peer


@EACH_WAY
@pytest.mark.parametrize("what", ["living", "dead", "hung"])
def test_ones_own_mount_is_taken(
    ours: Program, caller: User, mountpoint: Path, served: Peer, options: tuple[str], what: str
) -> None:
    """
    The dead and the hung most of all; so the file system itself is never asked.
    """
    {"living": lambda: None, "dead": served.kill, "hung": served.stop}[what]()

    assert SUCCESS == ours.unmount(mountpoint, *options, user=caller)
    assert [] == mounts_at(mountpoint)


@EACH_WAY
def test_another_users_mount_is_not_taken(
    ours: Program,
    another_user: User,
    mountpoint: Path,
    served: Peer,
    options: tuple[str],
) -> None:
    """
    Otherwise any user could pull the files away under another's programs.
    """
    assert refusal(mountpoint) == ours.unmount(mountpoint, *options, user=another_user)
    assert mount_at(mountpoint)


@pytest.mark.parametrize("uid", [6100, 610010, 1001])
def test_a_user_is_the_whole_number(
    ours: Program, mountpoint: Path, served: Peer, uid: int
) -> None:
    """
    6100 and 61001 begin alike and are different people (util-linux CVE-2021-3995).
    """
    assert refusal(mountpoint) == ours.unmount(mountpoint, user=User(uid, uid))
    assert mount_at(mountpoint)


@pytest.mark.parametrize("field", ["fsname", "subtype"])
def test_a_name_makes_nobody_the_owner(
    ours: Program, caller: User, another_user: User, mountpoint: Path, field: str
) -> None:
    """
    The owner is read where the kernel writes it, not wherever the words stand.
    """
    ours.mount(mountpoint, f"{field}=a - fuse b rw\\,user_id={another_user.uid}", user=caller)

    assert refusal(mountpoint) == ours.unmount(mountpoint, user=another_user)
    assert SUCCESS == ours.unmount(mountpoint, user=caller)


@EACH_WAY
def test_what_root_stacked_on_ones_own_mount_is_not_taken(
    ours: Program, caller: User, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    The C helper finds the user's line in the table and then takes whatever is on top.
    """
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    assert refusal(mountpoint) == ours.unmount(mountpoint, *options, user=caller)
    assert ["fuse", "tmpfs"] == [entry.fstype for entry in mounts_at(mountpoint)]


@EACH_WAY
def test_of_ones_own_two_the_topmost_is_taken(
    ours: Program, caller: User, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    One call undoes one mount.
    """
    ours.mount(mountpoint, "fsname=upper", user=caller)

    assert SUCCESS == ours.unmount(mountpoint, *options, user=caller)
    assert b"served" == mount_at(mountpoint).source


@EACH_WAY
def test_a_symlink_in_the_last_place_is_not_followed(
    ours: Program, caller: User, home: Path, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    It could be swapped for one to another's mount, and mountpoints are not symlinks.
    """
    link = home / "link"
    link.symlink_to(mountpoint)

    assert refusal(link) == ours.unmount(link, *options, user=caller)
    assert mount_at(mountpoint)


def test_a_symlink_before_the_last_place_is_followed(
    ours: Program, caller: User, home: Path, mountpoint: Path, served: Peer
) -> None:
    """
    /home may be one.
    """
    link = home / "link"
    link.symlink_to(home)

    assert SUCCESS == ours.unmount(link / mountpoint.name, user=caller)


def test_a_mount_in_use_is_busy_unless_taken_lazily(
    ours: Program, caller: User, mountpoint: Path, served: Peer
) -> None:
    """
    A program with an open file must not lose it unasked.
    """
    held = os.open(mountpoint, os.O_PATH)
    try:
        sentence = f"failed to unmount {mountpoint}: Device or resource busy"
        assert Result(1, b"", said(sentence)) == ours.unmount(mountpoint, user=caller)
        assert mount_at(mountpoint)

        assert SUCCESS == ours.unmount(mountpoint, "-z", user=caller)
    finally:
        os.close(held)


@pytest.mark.parametrize("who", ["caller", "root"])
def test_a_neighbour_that_could_take_its_name_is_no_reason_not_to_unmount(
    ours: Program, caller: User, home: Path, mountpoint: Path, served: Peer, who: str
) -> None:
    """
    It is then taken by descriptor, and only what is mounted inside it is found busy.
    """
    user = caller if who == "caller" else ROOT
    neighbour = home / "neighbour"
    neighbour.mkdir()
    kernel.mount("tmpfs", neighbour, "tmpfs")
    ours.mount(mountpoint / "inside", user=caller)
    busy = f"failed to unmount {mountpoint}: Device or resource busy"

    assert Result(1, b"", said(busy)) == ours.unmount(mountpoint, user=user)
    assert SUCCESS == ours.unmount(mountpoint / "inside", user=caller)
    assert SUCCESS == ours.unmount(mountpoint, user=user)
    assert "tmpfs" == mount_at(neighbour).fstype


def test_ones_own_working_directory_does_not_keep_it_busy(
    ours: Program, caller: User, mountpoint: Path, served: Peer
) -> None:
    """
    Who is in there and says that it may go has said so; C goes to / first, too.
    """
    result = ours.unmount(mountpoint, user=caller, preexec_fn=lambda: os.chdir(mountpoint))
    assert SUCCESS == result
    assert [] == mounts_at(mountpoint)


@EACH_WAY
def test_of_two_at_once_one_takes_it_and_the_other_finds_nothing(
    ours: Program, caller: User, mountpoint: Path, options: tuple[str]
) -> None:
    """
    Each holds the mount for a moment to judge it, which is no reason to call it busy.
    """
    for _ in range(20):
        assert 0 == ours.mount(mountpoint, user=caller).exit_status
        both = [
            ours.start("-u", *options, "--", mountpoint, user=caller, comm=None) for _ in range(2)
        ]

        results = [running.wait() for running in both]

        assert [SUCCESS, refusal(mountpoint)] == sorted(results)
        assert [] == mounts_at(mountpoint)


@EACH_WAY
def test_quiet_says_nothing_on_failure(
    ours: Program, another_user: User, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    Libfuse unmounts like this when it does not know whether there is anything to unmount.
    """
    result = ours.unmount(mountpoint, "-q", *options, user=another_user)

    assert Result(1, b"", b"") == result
    assert mount_at(mountpoint)


def a_directory(mountpoint: Path) -> Path:
    return mountpoint


def nothing(mountpoint: Path) -> Path:
    return mountpoint / "missing"


def a_tmpfs(mountpoint: Path) -> Path:
    kernel.mount("tmpfs", mountpoint, "tmpfs", options="uid=61001")
    return mountpoint


def inside_a_tmpfs(mountpoint: Path) -> Path:
    (a_tmpfs(mountpoint) / "inside").mkdir()
    return mountpoint / "inside"


@EACH_WAY
@pytest.mark.parametrize("make", [a_directory, nothing, a_tmpfs, inside_a_tmpfs])
def test_what_is_no_fuse_mount_is_not_taken(
    ours: Program,
    caller: User,
    mountpoint: Path,
    make: Callable[[Path], Path],
    options: tuple[str],
) -> None:
    """
    A directory in some mount is not that mount; another type is not ours to take.
    """
    path = make(mountpoint)
    before = mounts_at(mountpoint)

    assert refusal(path) == ours.unmount(path, *options, user=caller)
    assert before == mounts_at(mountpoint)


@EACH_WAY
def test_a_directory_in_ones_own_mount_is_not_that_mount(
    ours: Program, caller: User, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    A wrong path must not take down the file system that it leads into.
    """
    path = mountpoint / "inside"
    assert caller.call(os.path.isdir, path)

    assert refusal(path) == ours.unmount(path, *options, user=caller)
    assert mount_at(mountpoint)


@EACH_WAY
def test_root_takes_anything(
    ours: Program, mountpoint: Path, served: Peer, options: tuple[str]
) -> None:
    """
    As umount(8) would.
    """
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    assert SUCCESS == ours.unmount(mountpoint, *options, user=ROOT)
    assert SUCCESS == ours.unmount(mountpoint, *options, user=ROOT)
    assert [] == mounts_at(mountpoint)
    sentence = f"failed to unmount {mountpoint}: Invalid argument"
    assert Result(1, b"", said(sentence)) == ours.unmount(mountpoint, *options, user=ROOT)


@pytest.mark.parametrize(
    "words", ["-u MNT", "-uz MNT", "MNT -uqz", "--unmount --quiet --lazy -- MNT", "-u -q -z MNT"]
)
def test_each_caller_has_its_own_words(
    ours: Program, caller: User, mountpoint: Path, served: Peer, words: str
) -> None:
    """
    Go-fuse, libfuse and gvfs; none of them gives a comm socket.
    """
    arguments = words.replace("MNT", str(mountpoint)).split()

    assert SUCCESS == ours.run(*arguments, user=caller, comm=None)
    assert [] == mounts_at(mountpoint)


def test_a_file_mountpoint_is_unmounted(ours: Program, caller: User, home: Path) -> None:
    """
    Even when its server is dead and the file cannot be looked at.
    """
    path = home / "file"
    path.touch()
    os.chown(path, caller.uid, caller.gid)
    result = ours.mount(path, user=caller)
    assert result.device is not None
    result.device.close()

    assert SUCCESS == ours.unmount(path, user=caller)
    assert [] == mounts_at(path)
