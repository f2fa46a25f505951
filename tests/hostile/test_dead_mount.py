"""Who may have a dead mount taken, or a mount guarded, and what is asked whether it is dead."""

import os
from collections.abc import Callable
from pathlib import Path

from support import kernel
from support.flows import refused
from support.held import Held, until_at
from support.mount_table import mount_at, mounts, mounts_at
from support.program import Program, Result
from support.swapper import exchange
from support.users import ROOT, User


def take_dead(helper: Program, mountpoint: Path, identity: int, user: User) -> Result:
    """What a guard asks for; anybody may ask."""
    words = ("-u", "-z", "-q", f"--dead-mount={identity}")
    return helper.run(*words, "--", mountpoint, user=user, comm=None)


def test_another_users_dead_mount_stays(
    ours: Program,
    caller: User,
    another_user: User,
    mountpoint: Path,
    fuse_conf: Callable[[str], None],
) -> None:
    """
    With allow_other its file system answers everybody, so that others can tell it is dead; what
    lies below the mountpoint is its owner's to show again.
    """
    fuse_conf("user_allow_other\n")
    mounted = ours.mount(mountpoint, "allow_other", user=caller)
    assert mounted.device is not None
    mounted.device.close()
    identity = mount_at(mountpoint).mount_id

    assert 1 == take_dead(ours, mountpoint, identity, another_user).exit_status
    assert 1 == len(mounts_at(mountpoint))
    assert 0 == take_dead(ours, mountpoint, identity, caller).exit_status
    assert [] == mounts_at(mountpoint)


def test_the_mount_is_asked_and_not_its_path(
    ours: Program, held: Callable[..., Held], caller: User, home: Path
) -> None:
    """
    Libfuse #1606, #1609: at the path there is by now whatever its owner likes, and a mount that is
    alive would be taken because another is dead.
    """
    ids = {}
    for name in ("alive", "dead"):
        place = home / name / "mountpoint"
        place.mkdir(parents=True)
        os.chown(place, caller.uid, caller.gid)
        mounted = ours.mount(place, user=caller)
        assert mounted.device is not None
        if name == "alive":
            ours.serve(mounted.device)
        mounted.device.close()
        ids[name] = mount_at(place).mount_id
    running = held(ours, "fstatfs", "statfs").start(
        "-u", "-z", f"--dead-mount={ids['alive']}", "--", home / "alive" / "mountpoint",
        user=caller, comm=None,
    )  # fmt: skip
    until_at(running, "fstatfs", "statfs")

    exchange(home / "alive", home / "dead")

    running.wait()
    assert ids["alive"] in {entry.mount_id for entry in mounts()}


def test_what_is_no_fuse_mount_cannot_be_guarded(ours: Program, mountpoint: Path) -> None:
    """
    A guard takes mounts when a socket closes, even root's: a tmpfs has no server to wait for.
    """
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    result = ours.run("--auto-unmount", "--", mountpoint, user=ROOT)

    assert refused(f"entry for {mountpoint} not found in /etc/mtab") == result
