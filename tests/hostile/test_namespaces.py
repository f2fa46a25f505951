"""
Mountpoints that lie in another mount namespace than the caller's.

A held directory says what it is, never where it is: its mount may belong to a tree of the caller's
own making, whose owner takes nosuid and nodev off again.
"""

import os
from pathlib import Path

import pytest

from support import kernel
from support.foreign_namespace import ForeignNamespace
from support.injected import Injected
from support.program import Program
from support.users import ROOT, User
from support.weakened import Change, Target, against

IN_ANY_NAMESPACE = against(
    Change("fusermount_py/helper/permission.py", "if not is_here:", "if 0:"),
    Change("fusermount_py/helper/permission.py", "if not uncovered:", "if 0:"),
)


@pytest.mark.parametrize("flow", ["classic", "sync-init"])
@pytest.mark.parametrize("way", ["descriptor", "directory"])
@IN_ANY_NAMESPACE
def test_a_mountpoint_in_a_tree_of_the_callers_own_namespace_is_none(
    target: Target, caller: User, mountpoint: Path, way: str, flow: str
) -> None:
    """
    The owner of that namespace can remount it with devices (Linux 6.16), and mount_max does not
    count there: a dozen mounts and more.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:
        running = target.program.start(
            *["--sync-init"] * (flow == "sync-init"),
            *("--", foreign.sub if way == "descriptor" else "sub"),
            user=caller,
            cwd=foreign.tree,
        )
        received = running.receive().descriptors
        if received and flow == "sync-init":
            running.proceed()
        result = running.wait()
        foreign.attach()
        landed = "fuse" in foreign.mounted_types()

    assert landed == target.is_weak
    assert bool(received) == target.is_weak  # the device, too, is for those who may mount
    if not target.is_weak:
        assert 1 == result.exit_status
        assert b"is not in the mount namespace of its user" in result.stderr


KERNEL = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])


@pytest.mark.skipif(KERNEL < (6, 15), reason="nothing can be mounted in a detached tree")
@pytest.mark.skipif(KERNEL > (6, 16), reason="such a mount's flags are locked")
@IN_ANY_NAMESPACE
def test_nobody_takes_nodev_off(target: Target, caller: User, mountpoint: Path) -> None:
    """
    A block device that the server shows is the disk, to read and to write: root.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:
        running = target.program.start("--", foreign.sub, user=caller)
        running.receive()
        running.wait()
        foreign.attach()

        assert foreign.take_nodev_off() == target.is_weak


@against(Change("fusermount_py/helper/permission.py", "if not is_ours:", "if 0:"))
def test_nothing_is_mounted_in_a_namespace_of_another_user_namespace(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    Some launchers of containers leave a process there with the machine's own user namespace: the
    setuid bit counts for it, and the owner of the mount namespace is an ordinary user.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:

        def mount_inside() -> tuple[int, bytes]:
            kernel.setns(foreign.pid)
            result = target.program.mount(mountpoint, user=caller)
            return result.exit_status, result.stderr

        exit_status, stderr = ROOT.call(mount_inside)
        landed = "fuse" in foreign.mounted_types()

    assert landed == target.is_weak
    if not target.is_weak:
        sentence = b"this mount namespace belongs to another user namespace than the program"
        assert (1, b"fusermount3: " + sentence + b"\n") == (exit_status, stderr)


def test_a_question_that_fails_is_not_a_yes(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Whose namespace it is takes a descriptor to ask, and the caller decides how many there are.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:

        def mount_inside(which: int) -> int:
            kernel.setns(foreign.pid)
            starved = Injected(ours, (f"ioctl:error=EMFILE:when={which}",))
            return starved.mount(mountpoint, user=caller).exit_status

        # The first are the interpreter's own; one is the question.
        answers = [ROOT.call(mount_inside, which) for which in range(8, 24)]

        assert 0 not in answers
        assert "fuse" not in foreign.mounted_types()


def test_a_root_directory_that_is_no_mount_is_as_good_as_any(
    ours: Program, caller: User, home: Path
) -> None:
    """
    Mountinfo does not list the mount that a chroot's own root directory lies in.
    """
    jail = home / "jail"
    for name in ("usr", "proc", "dev", "run", "etc", "place"):
        (jail / name).mkdir(parents=True)
        if name != "place":
            kernel.mount(Path("/", name), jail / name, flags=kernel.MS_BIND | kernel.MS_REC)
    for name in ("lib", "lib64", "bin"):
        (jail / name).symlink_to(f"usr/{name}")
    os.chown(jail / "place", caller.uid, caller.gid)

    def mount_and_unmount() -> list[tuple[int, bytes]]:
        os.chroot(jail)
        os.chdir("/")
        mounted = ours.mount("/place", user=caller)
        return [
            (result.exit_status, result.stderr)
            for result in (mounted, ours.unmount("/place", user=caller))
        ]

    assert [(0, b""), (0, b"")] == ROOT.call(mount_and_unmount)
