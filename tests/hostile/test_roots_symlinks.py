"""Root's symlink to a mountpoint is followed. Who could gain: whoever its way leads past."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.flows import refused, sync_init
from support.mount_table import mounts_at, mounts_below
from support.program import Program
from support.users import ROOT, User
from support.weakened import Change, Target, against

FOLLOWS_FOR_ALL = Change(
    "fusermount_py/helper/mount.py", "follow=caller.is_root", "follow=bool(caller)"
)
ATTACHES_BY_NAME = Change(
    "fusermount_py/helper/kernel/fs_context.py",
    "mount, mountpoint.descriptor, MOVE",
    "mount, posix.open(mountpoint.path, posix.O_PATH), MOVE",
)
KEEPS_THE_LINKS_NAME = Change(
    "fusermount_py/helper/kernel/mountpoint.py",
    '            located = _name_in(directory or "/", name)\n',
    "",
)


@pytest.fixture
def victim(nothing_left: None, another_user: User) -> Iterator[Path]:
    """Another user's directory: nobody has named it."""
    path = machine.SCRATCH / "victim"
    (path / "mountpoint").mkdir(parents=True)
    for folder in (path, path / "mountpoint"):
        os.chown(folder, another_user.uid, another_user.gid)
    yield path
    for _ in mounts_at(path / "mountpoint"):
        kernel.umount(path / "mountpoint")
    (path / "mountpoint").rmdir()
    path.rmdir()


@pytest.mark.parametrize("swapped", ["link", "parent", "mountpoint"])
@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_where_roots_symlink_led_is_where_root_mounts(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    home: Path,
    victim: Path,
    swapped: str,
    who: str,
) -> None:
    """
    It is resolved once. Who may change what lies on the way must not choose, in all the time until
    the proceed byte, what of root's or another's is covered.
    """
    mountpoint = home / "parent" / "mountpoint"
    mountpoint.mkdir(parents=True)
    for folder in (mountpoint, mountpoint.parent):
        os.chown(folder, caller.uid, caller.gid)
    link = home / "link"
    link.symlink_to(mountpoint)
    changes = [ATTACHES_BY_NAME] + [KEEPS_THE_LINKS_NAME] * (swapped == "link")
    program = ours if who == "ours" else weakened(*changes)

    running = program.start_sync_init(link, user=ROOT)
    device = running.receive_device()
    place = {"link": link, "parent": mountpoint.parent, "mountpoint": mountpoint}[swapped]
    place.rename(home / "moved")
    place.symlink_to(victim if swapped == "parent" else victim / "mountpoint")
    running.proceed()

    assert (0, False) == (running.read_status(), device.closed)
    running.wait()
    assert (who == "weakened") == bool(mounts_at(victim / "mountpoint"))
    assert (who == "ours") == bool(mounts_below(home))


@against(FOLLOWS_FOR_ALL)
def test_an_ordinary_callers_symlink_is_never_followed(
    target: Target, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    Nobody expects a mount elsewhere than at the name: callers unmount by it, and clean up below it.
    """
    link = home / "link"
    link.symlink_to(mountpoint)

    result = sync_init(target.program, link, user=caller)

    sentence = f"mountpoint {link} is not a directory or a regular file"
    assert target.is_weak == (result != refused(sentence))
    assert target.is_weak == bool(mounts_at(mountpoint))
