"""
How much one user can take from the others: helpers that wait, and their seats below mount_max.

Bounded twice: by RLIMIT_NPROC, because a helper counts as its caller's process from its first
instruction on, and by mount_max, because a helper that waits counts like the mount it may become.
"""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from support.mount_table import mounts_at
from support.program import Program
from support.users import User

MANY = 500


@pytest.mark.timeout(300)
def test_five_hundred_waiting_helpers_keep_nobody_from_mounting(
    ours: Program,
    caller: User,
    another_user: User,
    home: Path,
    mountpoint: Path,
    fuse_conf: Callable[..., None],
) -> None:
    """
    A seat is taken without waiting for anyone: not for those who never go on, nor for a lock.
    """
    fuse_conf(f"mount_max = {MANY + 10}\n")
    waiting = [ours.start_sync_init(mountpoint, user=caller) for _ in range(MANY)]
    for running in waiting:
        running.receive_device()
    place = home / "place"
    place.mkdir()
    place.chmod(0o777)

    mounted = ours.mount(place, user=another_user)

    assert (0, b"") == (mounted.exit_status, mounted.stderr)
    assert 1 == len(mounts_at(place))
    assert all(running.process.poll() is None for running in waiting)


def test_waiting_helpers_count_like_mounts(
    ours: Program, caller: User, mountpoint: Path, fuse_conf: Callable[..., None]
) -> None:
    """
    Else mount_max would bound mounts, and nothing the helpers.
    """
    fuse_conf("mount_max = 5\n")
    waiting = [ours.start_sync_init(mountpoint, user=caller) for _ in range(5)]
    for running in waiting:
        running.receive_device()

    refused = ours.mount(mountpoint, user=caller)

    assert 1 == refused.exit_status
    assert b"too many FUSE filesystems mounted; mount_max=N" in refused.stderr


def test_a_user_at_the_limit_of_processes_gets_one_sentence(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A helper counts as its caller's from the start: there is no thread to be had for create.
    """
    running = ours.start_sync_init(
        mountpoint,
        user=caller,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)),
    )
    running.receive_device()
    running.proceed()

    assert running.read_status() < 0
    result = running.wait()
    assert (1, 1) == (result.exit_status, result.stderr.count(b"\n"))
    assert [] == mounts_at(mountpoint)
