"""Whether somebody could rename what lies on a path, or the path itself."""

import os
from pathlib import Path

import pytest

from fusermount_py.helper.kernel.mount_table import mount_id
from fusermount_py.helper.kernel.mountpoint import is_out_of_reach
from support import kernel
from support.program import Program
from support.users import User

LOCAL = frozenset({"ext2", "ext3", "ext4", "btrfs", "xfs", "tmpfs", "overlay"})


def mount_id_of(path: Path) -> int:
    """Of the mount that the path, or as much of it as is there, lies on."""
    while not path.exists():
        path = path.parent
    held = os.open(path, os.O_PATH)
    number = mount_id(held)
    os.close(held)
    return number


def is_safe(path: Path, caller: User, owner: int = 0, on: int | None = None) -> bool:
    """As the helper asks: with the caller's ids."""
    return caller.call(is_out_of_reach, str(path), owner, on or mount_id_of(path), LOCAL)


@pytest.fixture
def roots(home: Path) -> Path:
    """A directory of root's below others of root's."""
    os.chown(home, 0, 0)
    place = home / "a" / "b"
    place.mkdir(parents=True)
    return place


def test_a_path_of_roots_directories_is_out_of_reach(roots: Path, caller: User) -> None:
    """
    Else no machine had a mount that is, and no unmount could go by its name.
    """
    assert is_safe(roots, caller)
    assert is_safe(Path("/"), caller)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
@pytest.mark.parametrize("level", ["b", "a"])
def test_who_may_rename_reaches_it(roots: Path, caller: User, level: str, mode: int) -> None:
    """
    By the group's bits and everybody's; in a sticky directory by owning the entry.
    """
    (roots if level == "b" else roots.parent).chmod(mode)

    assert not is_safe(roots, caller)


@pytest.mark.parametrize("level", ["b", "a"])
def test_an_owner_reaches_it(roots: Path, caller: User, level: str) -> None:
    """
    Whatever its mode is now: its owner may change that.
    """
    place = roots if level == "b" else roots.parent
    os.chown(place, caller.uid, caller.gid)
    place.chmod(0o500)

    assert not is_safe(roots, caller)
    assert is_safe(roots, caller, owner=caller.uid)


def test_a_directory_that_only_root_may_enter_is_a_wall(roots: Path, caller: User) -> None:
    """
    What lies behind it cannot even be looked at, and on most machines there is some mount.
    """
    roots.parent.chmod(0o700)
    os.chown(roots, caller.uid, caller.gid)

    assert is_safe(roots, caller)


def test_a_directory_that_others_may_enter_is_no_wall(roots: Path, caller: User) -> None:
    """
    Somebody else may do behind it what this caller cannot.
    """
    os.chown(roots.parent, 0, 4242)
    roots.parent.chmod(0o710)

    assert not is_safe(roots, caller)


def test_what_a_server_says_is_not_believed(
    ours: Program, caller: User, roots: Path, home: Path
) -> None:
    """
    A file system of the attacker's, on the way, can call any directory root's, and the mount that
    is asked about lies elsewhere.
    """
    on = mount_id_of(roots)
    os.chown(home, caller.uid, caller.gid)
    mounted = ours.mount(home, user=caller)
    assert mounted.device is not None
    ours.serve(mounted.device)
    mounted.device.close()

    assert not is_safe(home / "inside", caller, on=on)
    assert not is_safe(home, caller, on=on)


def test_another_mount_that_covers_the_path_is_another_place(roots: Path, caller: User) -> None:
    """
    Else the look would be at what covers the directory, and not at the directory.
    """
    on = mount_id_of(roots)
    kernel.mount("tmpfs", roots, "tmpfs", options="mode=0755")

    assert not is_safe(roots, caller, on=on)
    assert is_safe(roots, caller)


def test_a_directory_that_its_owner_closed_is_no_wall(
    roots: Path, caller: User, another_user: User
) -> None:
    """
    It can be opened again, and whoever holds what lies behind it need not wait for that.
    """
    os.chown(roots.parent, another_user.uid, another_user.gid)
    roots.parent.chmod(0o000)

    assert not is_safe(roots, caller, owner=another_user.uid)


def test_what_is_not_there_is_not_believed(roots: Path, caller: User) -> None:
    """
    The table is older than the look.
    """
    assert not is_safe(roots / "gone", caller)
    (roots / "link").symlink_to("/usr")
    assert not is_safe(roots / "link" / "bin", caller)
