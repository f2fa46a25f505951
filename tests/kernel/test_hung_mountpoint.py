"""A mountpoint that lies on a file system whose server hangs."""

import errno
import time
from pathlib import Path

from support.flows import classic, refused
from support.mount_table import mounts_at
from support.program import END_OF_FILE, Program
from support.users import User

SENTENCE = "the file system at the mountpoint, or on the way to it, does not answer"


def hung_mount(ours: Program, mountpoint: Path, caller: User) -> None:
    """The caller's own mount, its server stopped; the kernel has nothing of it in a cache."""
    mounted = ours.mount(mountpoint, user=caller)
    assert mounted.device is not None
    ours.serve(mounted.device).stop()


def test_a_hung_mountpoint_does_not_hang_the_helper(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A helper that waits for a stranger's server waits for ever, and keeps a place of mount_max.
    """
    hung_mount(ours, mountpoint, caller)

    result = classic(ours, mountpoint, user=caller, environment={"_FUSE_PROCEED_TIMEOUT": "1"})

    assert refused(SENTENCE) == result
    assert 1 == len(mounts_at(mountpoint))


def test_the_client_hears_of_a_hung_mountpoint(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    The client may wait for the socket alone: it must read the reason, then end of file.
    """
    hung_mount(ours, mountpoint, caller)

    running = ours.start_sync_init(
        mountpoint,
        user=caller,
        environment={"_FUSE_PROCEED_TIMEOUT": "1", "_FUSE_REPORT": "1"},
    )

    report = running.receive().payload
    assert f'"errno": {errno.ETIMEDOUT:d}, "step": "mountpoint"'.encode() in report
    assert END_OF_FILE == running.receive()


def test_a_slow_mountpoint_is_waited_for(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    An automounter or a network may need a while; that is no reason to refuse.
    """
    mounted = ours.mount(mountpoint, user=caller)
    assert mounted.device is not None
    peer = ours.serve(mounted.device)
    peer.stop()
    running = ours.start("--", mountpoint, user=caller)

    time.sleep(1)  # longer than the helper takes to come to the question
    peer.resume()

    assert running.receive_device()
    assert 0 == running.wait().exit_status
    assert 2 == len(mounts_at(mountpoint))
