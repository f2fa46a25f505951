"""
CVE-2010-0789, CVE-2010-3879, CVE-2018-7738, libfuse #1518 and #1607: names that change their
meaning between the look and the deed.

Each race is run against a copy that goes by the name, too, where it is won within a few rounds.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.mount_table import mounts_at
from support.program import Program
from support.swapper import Swapper
from support.users import User
from support.weakened import Change

ROUNDS = 40  # against ours
UNTIL_WON = 400  # against the weakened: a bound, some ten are enough

ATTACHES_BY_NAME = Change(
    "fusermount_py/helper/kernel/fs_context.py",
    "mount, mountpoint.descriptor, MOVE",
    "mount, posix.open(mountpoint.path, posix.O_PATH), MOVE",
)
TAKES_BACK_BY_NAME = Change(
    "fusermount_py/helper/creation.py",
    'target = f"/proc/self/fd/{mounted.descriptor}".encode()',
    "target = mounted.prepared.mountpoint.path.encode()",
)
UNMOUNTS_BY_NAME = Change(
    "fusermount_py/helper/unmount.py",
    'target = f"/proc/self/fd/{located.directory}/{located.name}"',
    "target = located.path",
)
UNMOUNTS_LAZILY_BY_NAME = Change(
    "fusermount_py/helper/unmount.py", "take_held(mount)\n            else:", "posix.close(mount)\n"
    "                with privilege.raised():\n"
    "                    syscalls.umount2(located.path.encode(), MNT_DETACH)\n            else:",
)  # fmt: skip


@pytest.fixture
def victim(nothing_left: None, another_user: User) -> Iterator[Path]:
    """Where nothing may be mounted or unmounted by the caller: another user's."""
    path = machine.SCRATCH / "victim"
    (path / "mountpoint").mkdir(parents=True)
    for folder in (path, path / "mountpoint"):
        os.chown(folder, another_user.uid, another_user.gid)
    yield path
    for _ in mounts_at(path / "mountpoint"):
        kernel.umount(path / "mountpoint")
    (path / "mountpoint").rmdir()
    path.rmdir()


@pytest.fixture
def parent(home: Path, caller: User) -> Path:
    """A directory of the caller's with a mountpoint in it, and beside it a link to the victim."""
    parent = home / "parent"
    (parent / "mountpoint").mkdir(parents=True)
    for folder in (parent, parent / "mountpoint"):
        os.chown(folder, caller.uid, caller.gid)
    return parent


@pytest.fixture
def link(home: Path, victim: Path) -> Path:
    path = home / "link"
    path.symlink_to(victim)
    return path


def take_all_below(folder: Path) -> None:
    for place in (folder / "parent" / "mountpoint", folder / "link" / "mountpoint"):
        for _ in mounts_at(place):
            kernel.umount(place)


def put_back(parent: Path, link: Path) -> None:
    """Undo an odd number of exchanges."""
    if parent.is_symlink():
        parent.rename(parent.with_name("swap"))
        link.rename(parent)
        parent.with_name("swap").rename(link)


@pytest.mark.parametrize("level", ["mountpoint", "parent", "grandparent"])
@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_what_was_judged_is_what_is_covered(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    home: Path,
    victim: Path,
    level: str,
    who: str,
) -> None:
    """
    Between the device and the proceed byte the caller has all the time in the world.
    """
    mountpoint = home / "grandparent" / "parent" / "mountpoint"
    mountpoint.mkdir(parents=True)
    os.chown(mountpoint, caller.uid, caller.gid)
    swapped = next(path for path in (mountpoint, *mountpoint.parents) if path.name == level)
    (victim / "parent").symlink_to(victim)  # so that grandparent/parent/mountpoint is there, too
    program = ours if who == "ours" else weakened(ATTACHES_BY_NAME)

    running = program.start_sync_init(mountpoint, user=caller)
    device = running.receive_device()
    swapped.rename(home / "moved")
    swapped.symlink_to(victim / "mountpoint" if level == "mountpoint" else victim)
    running.proceed()

    assert (0, False) == (running.read_status(), device.closed)
    running.wait()
    assert len(mounts_at(victim / "mountpoint")) == (who == "weakened")
    (victim / "parent").unlink()


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_a_name_that_changes_during_a_mount_leads_nowhere(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    parent: Path,
    link: Path,
    victim: Path,
    who: str,
) -> None:
    """
    Else any user mounts over any directory of the system.
    """
    program = ours if who == "ours" else weakened(ATTACHES_BY_NAME)

    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        with Swapper(parent, link, caller):
            program.mount(parent / "mountpoint", user=caller)
        if mounts_at(victim / "mountpoint"):
            break
        take_all_below(parent.parent)
    take_all_below(parent.parent)

    assert len(mounts_at(victim / "mountpoint")) == (who == "weakened")


@pytest.mark.parametrize("who", ["ours", "weakened"])
@pytest.mark.parametrize(
    ("options", "change"),
    [((), UNMOUNTS_BY_NAME), (("-z",), UNMOUNTS_LAZILY_BY_NAME)],
    ids=["plain", "lazy"],
)
def test_a_name_that_changes_during_an_unmount_takes_nothing_of_anothers(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    another_user: User,
    parent: Path,
    link: Path,
    victim: Path,
    who: str,
    options: tuple[str, ...],
    change: Change,
) -> None:
    """
    Else any user takes away any mount of the system. Two at once, as in CVE-2010-3879.
    """
    program = ours if who == "ours" else weakened(change)
    assert 0 == ours.mount(victim / "mountpoint", user=another_user).exit_status

    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        if not any(mounts_at(home / "mountpoint") for home in (parent, link)):
            ours.mount(parent / "mountpoint", user=caller)
        with Swapper(parent, link, caller):
            both = [
                program.start("-u", *options, "--", parent / "mountpoint", user=caller, comm=None)
                for _ in range(2)
            ]
            for running in both:
                running.wait()
        put_back(parent, link)
        if not mounts_at(victim / "mountpoint"):
            break
    take_all_below(parent.parent)

    assert len(mounts_at(victim / "mountpoint")) == (who == "ours")


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_a_mount_that_cannot_be_delivered_takes_nothing_of_anothers_with_it(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    another_user: User,
    parent: Path,
    link: Path,
    victim: Path,
    who: str,
) -> None:
    """
    What is taken back by name is another's: libfuse #1607. The client closes its socket at once.
    """
    program = ours if who == "ours" else weakened(TAKES_BACK_BY_NAME)
    assert 0 == ours.mount(victim / "mountpoint", user=another_user).exit_status

    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        with Swapper(parent, link, caller):
            running = program.start("--", parent / "mountpoint", user=caller)
            running.comm.close()
            running.wait()
        put_back(parent, link)
        if who == "ours":
            assert [] == mounts_at(parent / "mountpoint")
        take_all_below(parent.parent)
        if not mounts_at(victim / "mountpoint"):
            break

    assert len(mounts_at(victim / "mountpoint")) == (who == "ours")
