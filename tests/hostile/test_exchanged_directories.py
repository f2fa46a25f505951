"""
Directories that change places between the look and the deed, with what is mounted on them.

A link that is swapped is not followed; a directory that is exchanged needs no following. Above a
mountpoint anybody can do it who owns the directories, and mountpoints themselves are exchanged from
a mount namespace that is older than the mounts. Each attack is run against a copy that goes by the
name, too.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.foreign_namespace import ForeignNamespace
from support.mount_table import mounts_at
from support.program import Program
from support.swapper import Swapper
from support.users import ROOT, User
from support.weakened import Change

pytestmark = pytest.mark.timeout(300)  # luck may be late
ROUNDS = 60  # against ours
UNTIL_WON = 1000  # against the weakened: a bound, some hundred are enough

LONG = "n" * 300  # a name that goes through mount(2), which gives no descriptor
FINDS_ITS_MOUNT_BY_NAME = Change(
    "fusermount_py/helper/kernel/detached_mount.py",
    "        return self._descriptor\n",
    "        path = posix.readlink(pinned.magic_link)\n"
    "        return posix.open(path, posix.O_PATH | posix.O_NOFOLLOW)\n",
)
IS_NOT_LOOKED_AT_AGAIN = Change("fusermount_py/helper/permission.py", "if not uncovered:", "if 0:")
GOES_BY_ANY_NAME = Change(
    "fusermount_py/helper/unmount.py",
    "    if entry is None or _leads_nowhere_else(located, entry):\n",
    "    if 1:\n",
)


def owned(path: Path, user: User) -> Path:
    path.mkdir(parents=True)
    os.chown(path, user.uid, user.gid)
    return path


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_what_is_taken_back_is_what_was_mounted(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    home: Path,
    who: str,
) -> None:
    """
    A mount that is found by its name is root's, if the attacker is quick: of the same source, on
    the same file system, below a directory that the attacker may rename.
    """
    one, other = owned(home / "one", caller), owned(home / "other", caller)
    owned(one / "mountpoint", caller)
    victim = owned(other / "mountpoint", caller)
    program = ours if who == "ours" else weakened(FINDS_ITS_MOUNT_BY_NAME, IS_NOT_LOOKED_AT_AGAIN)
    assert 0 == ours.mount(victim, f"fsname={LONG}", user=ROOT).exit_status
    (root,) = mounts_at(victim)

    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        with Swapper(one, other, caller):
            running = program.start("-o", f"fsname={LONG}", "--", one / "mountpoint", user=caller)
            running.comm.close()  # so that the device cannot be delivered
            running.wait()
        there = [
            entry.mount_id for path in (one, other) for entry in mounts_at(path / "mountpoint")
        ]
        if root.mount_id not in there:
            break

    assert (root.mount_id in there) == (who == "ours")


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_a_neighbour_that_takes_the_place_of_ones_own_mount_stays(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    home: Path,
    who: str,
) -> None:
    """
    Root's mount of any type, for days there, goes when the name of the user's own leads to it.
    """
    program = ours if who == "ours" else weakened(GOES_BY_ANY_NAME)
    mine, roots = owned(home / "mine", caller), owned(home / "roots", caller)

    with ForeignNamespace(caller, home) as older:
        kernel.mount("tmpfs", roots, "tmpfs")
        ours.mount(mine, user=caller)
        for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
            with Swapper(mine, roots, caller, within=older.pid):
                both = [
                    program.start("-u", "--", path, user=caller, comm=None)
                    for path in (mine, roots)
                ]
                for running in both:
                    running.wait()
            left = [entry.fstype for path in (mine, roots) for entry in mounts_at(path)]
            if "tmpfs" not in left:
                break
            if "fuse" not in left:
                free = next(path for path in (mine, roots) if not mounts_at(path))
                ours.mount(free, user=caller)

    assert ("tmpfs" in left) == (who == "ours")


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_what_ones_own_mount_covers_stays(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    mountpoint: Path,
    who: str,
) -> None:
    """
    Two at once judge the user's mount; the first takes it, and by its name the second then takes
    what root has mounted below. C does, too.
    """
    program = ours if who == "ours" else weakened(GOES_BY_ANY_NAME)
    kernel.mount("tmpfs", mountpoint, "tmpfs", options=f"uid={caller.uid}")

    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        assert 0 == ours.mount(mountpoint, user=caller).exit_status
        both = [program.start("-u", "--", mountpoint, user=caller, comm=None) for _ in range(2)]
        results = sorted(running.wait().exit_status for running in both)
        left = [entry.fstype for entry in mounts_at(mountpoint)]
        if left != ["tmpfs"]:
            break
        if who == "ours":
            assert [0, 1] == results

    assert (["tmpfs"] == left) == (who == "ours")
