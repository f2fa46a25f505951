"""A mountpoint that lies on a file system whose server hangs."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from support.flows import classic, refused, said, until
from support.mount_table import mount_at, mounts_at
from support.peer import Peer
from support.program import END_OF_FILE, Program, Result, Running
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


@pytest.fixture
def outer(ours: Program, caller: User, mountpoint: Path) -> Peer:
    """The server of the caller's mount at `mountpoint`, in which another lies, at `inside`."""
    mounted = ours.mount(mountpoint, "fsname=outer", user=caller)
    assert mounted.device is not None
    server = ours.serve(mounted.device, root_mode=stat.S_IFDIR | 0o777)
    mounted.device.close()
    assert 0 == ours.mount(mountpoint / "inside", "fsname=inner", user=caller).exit_status
    return server


def capabilities_in_force(running: Running) -> set[str]:
    """CapEff of each thread of the helper."""
    tasks = Path(f"/proc/{running.process.pid}/task")
    texts = [(task / "status").read_text(encoding="ascii") for task in tasks.iterdir()]
    return {text.partition("CapEff:")[2].split()[0] for text in texts}


@pytest.mark.parametrize("words", [("-u",), ("-u", "-z"), ("--auto-unmount",)], ids=" ".join)
def test_below_a_hung_mount_nothing_waits_for_ever_nor_with_a_capability(
    ours: Program, caller: User, mountpoint: Path, outer: Peer, words: tuple[str, ...]
) -> None:
    """
    The name has to be asked for; a wait is no time to hold a right in.
    """
    inner = mount_at(mountpoint / "inside").mount_id
    outer.stop()

    running = ours.start(
        *words, "--", mountpoint / "inside", user=caller,
        environment={"_FUSE_PROCEED_TIMEOUT": "2"},
    )  # fmt: skip
    until(lambda: len(os.listdir(f"/proc/{running.process.pid}/task")) > 1, "its clock runs")
    time.sleep(0.5)
    in_force = capabilities_in_force(running)

    assert Result(1, b"", said(SENTENCE)) == running.wait()
    assert {f"{0:016x}"} == in_force
    assert inner == mount_at(mountpoint / "inside").mount_id


def test_a_guards_helper_below_a_hung_mount_ends(
    ours: Program, caller: User, mountpoint: Path, outer: Peer
) -> None:
    """
    It has nobody who waits for it, and would wait for ever.
    """
    outer.stop()

    running = ours.start(
        "-u", "-z", "-q", "--dead-mount=1", "--", mountpoint / "inside", user=caller,
        environment={"_FUSE_PROCEED_TIMEOUT": "1"},
    )  # fmt: skip

    assert Result(1, b"", b"") == running.wait()
