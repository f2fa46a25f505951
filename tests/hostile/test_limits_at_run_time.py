"""
Limits that change while the helper runs: its ids are its caller's, who may therefore prlimit() it.

So the caller chooses not only how little there is, but when: one open fails, the next one does not.
"""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import until
from support.held import Held
from support.mount_table import mounts_at
from support.program import Program, Running
from support.users import User

MOST = 64  # descriptors, as the launcher leaves them


def limit_descriptors(running: Running, user: User, descriptors: int) -> None:
    """As prlimit(1) does; whoever has ended is not limited any more."""
    pid = running.process.pid

    def limit() -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, hard))

    with contextlib.suppress(ProcessLookupError):
        user.call(limit)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("fsname=demo", id="short"),
        pytest.param("x-demo", id="recorded"),
        pytest.param("fsname=" + "n" * 300, id="long"),
    ],
)
def test_no_descriptor_is_left_at_any_step_of_the_mount(
    ours: Program, caller: User, mountpoint: Path, utab: Path, options: str
) -> None:
    """
    A mount that is reported as failed is not there. The last descriptor may be wanted after it is
    made, and what nobody can be told of is a dead mount.
    """
    for descriptors in range(20):
        running = ours.start_sync_init(mountpoint, options, user=caller)
        running.receive_device()
        limit_descriptors(running, caller, descriptors)
        with contextlib.suppress(BrokenPipeError):  # without any, it cannot wait for the byte
            running.proceed()
        result = running.wait()
        status = running.receive().payload

        seen = (descriptors, status, result)
        assert result.exit_status in (0, 1), seen
        assert (status == bytes(4)) == (result.exit_status == 0), seen
        assert b"Traceback" not in result.stderr, seen
        assert len(mounts_at(mountpoint)) == (result.exit_status == 0), seen
        if result.exit_status == 0:
            assert 0 == ours.unmount(mountpoint, user=caller).exit_status


def full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    return reader, writer


def is_the_callers(running: Running, user: User) -> bool:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return f"\nUid:\t{user.uid}\t{user.uid}\t{user.uid}\t{user.uid}\n" in status


def test_the_administrators_settings_cannot_be_kept_from_being_read(
    ours: Program,
    held: Callable[..., Held],
    caller: User,
    mountpoint: Path,
    fuse_conf: Callable[..., None],
) -> None:
    """
    Too few descriptors for fuse.conf; a warning that nobody reads, so that the helper waits; as
    many descriptors as ever. That would be the default of a thousand mounts, whatever is set.
    """
    fuse_conf("mount_max = 1\n")
    assert 0 == ours.mount(mountpoint, user=caller).exit_status
    place = mountpoint.with_name("another")
    place.mkdir()
    os.chown(place, caller.uid, caller.gid)

    for descriptors in range(7, 10):
        reader, writer = full_pipe()
        # Its first call as the caller: there it is held for two seconds.
        running = held(ours, "socket").start("--", place, user=caller, stderr=writer)
        until(lambda: is_the_callers(running, caller), "a helper that is the caller's")  # noqa: B023  # called before the next round
        limit_descriptors(running, caller, descriptors)
        time.sleep(2.5)
        limit_descriptors(running, caller, MOST)
        os.close(writer)
        os.close(reader)

        assert 1 == running.process.wait(20), descriptors
        assert [] == mounts_at(place)


def test_the_scribe_is_not_its_users_to_limit(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    A limit cuts root's table short.
    """
    running = ours.start_sync_init(mountpoint, "x-demo", user=caller)
    running.receive_device()
    (child,) = (
        Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        .read_text(encoding="ascii")
        .split()
    )

    with pytest.raises(PermissionError):
        caller.call(resource.prlimit, int(child), resource.RLIMIT_FSIZE, (0, 0))


def test_at_the_process_limit_a_hung_file_system_is_given_up(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    There the clock is no thread, and says no sentence; but it rings.
    """
    mounted = ours.mount(mountpoint, user=caller)
    assert mounted.device is not None
    ours.serve(mounted.device).stop()
    mounted.device.close()

    running = ours.start(
        *("-u", "--", mountpoint / "inside"),
        user=caller,
        environment={"_FUSE_PROCEED_TIMEOUT": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)),
    )

    assert running.process.wait(20) in (1, -signal.SIGALRM)
