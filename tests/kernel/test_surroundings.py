"""What real callers surround the helper with (contract, section 12)."""

import ctypes
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.flows import refused, said
from support.mount_table import mount_at, mounts_at
from support.program import Program, Result
from support.users import User

SIGNALS = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM)


def close_standard_descriptors() -> None:
    os.closerange(0, 3)


def test_closed_standard_descriptors_with_comm_at_17(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Node's fuse-native starts us so. The device must not land on fd 0, nor a message in the device.
    """
    running = ours.start(
        "-o", "dev", "--", mountpoint, user=caller, comm_fd=17,
        preexec_fn=close_standard_descriptors,
    )  # fmt: skip

    assert running.receive_device()
    assert 0 == running.wait().exit_status
    assert mount_at(mountpoint)


def test_the_comm_socket_may_be_a_standard_descriptor(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A caller that closed its own stdin gets socketpair's ends there.
    """
    running = ours.start(
        "--comm-fd=0", "-o", "auto_unmount", "--", mountpoint, user=caller, comm_fd=17,
        preexec_fn=lambda: os.dup2(17, 0) and None,
    )  # fmt: skip
    device = running.receive_device()
    assert mount_at(mountpoint)

    device.close()
    running.comm.close()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


def dev_full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def read_only_null() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def an_eventfd() -> int:
    return ctypes.CDLL(None).eventfd(0, 0)  # type: ignore[no-any-return]  # an int


def read_end_of_a_pipe() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def pipe_without_a_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


READERS: list[int] = []  # the other ends of full pipes: open, and never read


def full_pipe() -> int:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    READERS.append(reader)
    return writer


@pytest.fixture(
    params=[
        dev_full, read_only_null, an_eventfd, read_end_of_a_pipe, pipe_without_a_reader, full_pipe,
    ]
)  # fmt: skip
def unwritable(request: pytest.FixtureRequest) -> Iterator[int]:
    """A descriptor that takes no message."""
    descriptor = request.param()
    yield descriptor
    os.close(descriptor)
    while READERS:
        os.close(READERS.pop())


def test_a_warning_that_cannot_be_written_stops_no_mount(
    ours: Program, caller: User, mountpoint: Path, unwritable: int
) -> None:
    """
    Nor does it block: a full pipe is a client that reads stderr later, or never.
    """
    running = ours.start(
        "-o", "dev", "--", mountpoint, user=caller, stdout=unwritable, stderr=unwritable
    )

    assert running.receive_device()
    assert 0 == running.wait().exit_status
    assert mount_at(mountpoint)


@pytest.mark.parametrize("words", ["-o wrong MNT", "-u MNT", "-h", "--wrong"])
def test_a_refusal_that_cannot_be_written_is_exit_status_1(
    ours: Program, caller: User, mountpoint: Path, unwritable: int, words: str
) -> None:
    """
    Neither a signal nor Python's own 120 of a failed flush.
    """
    result = ours.run(
        *words.replace("MNT", str(mountpoint)).split(), user=caller, stdout=unwritable,
        stderr=unwritable,
    )  # fmt: skip

    assert 1 == result.exit_status
    assert [] == mounts_at(mountpoint)


def test_a_version_that_cannot_be_written_is_exit_status_0(
    ours: Program, caller: User, unwritable: int
) -> None:
    """
    The question was whether we are a fusermount.
    """
    assert 0 == ours.run("-V", user=caller, stdout=unwritable, stderr=unwritable).exit_status


def test_a_slow_reader_gets_the_whole_message(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A path of 4 kB makes a message longer than what a pipe takes at once.
    """
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    words = "n/" * 2000
    running = ours.start("--", words, user=caller, stderr=writer, cwd=mountpoint)
    os.close(writer)

    with open(reader, "rb") as stream:
        message = stream.read()

    assert said(f"bad mount point {words}: No such file or directory") == message
    assert 1 == running.wait().exit_status


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@pytest.mark.parametrize("prepare", [ignore_signals, block_signals])
def test_a_callers_signals_change_nothing(
    ours: Program, caller: User, mountpoint: Path, prepare: Callable[[], None]
) -> None:
    """
    They survive exec. The C helper dies of an ignored SIGCHLD, and leaves a dead mount.
    """
    result = ours.mount(mountpoint, "x-a=b", user=caller, preexec_fn=prepare)
    assert (0, b"") == (result.exit_status, result.stderr)

    assert Result(0, b"", b"") == ours.unmount(mountpoint, user=caller, preexec_fn=prepare)
    silent = ours.start_sync_init(
        mountpoint, user=caller, preexec_fn=prepare, environment={"_FUSE_PROCEED_TIMEOUT": "0.1"}
    )
    silent.receive_device()
    assert 1 == silent.wait().exit_status


@pytest.mark.parametrize("prepare", [ignore_signals, block_signals])
def test_a_helper_can_be_interrupted_whatever_its_caller_ignores(
    ours: Program, caller: User, mountpoint: Path, prepare: Callable[[], None]
) -> None:
    """
    While it waits for a client, its user must be able to end it.
    """
    running = ours.start_sync_init(mountpoint, user=caller, preexec_fn=prepare)
    running.receive_device()

    running.process.send_signal(signal.SIGINT)

    assert -signal.SIGINT == running.wait().exit_status


def test_a_callers_umask_and_directory_change_nothing(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    What the helper would create is root's; where it is started is not looked at.
    """
    hostile = mountpoint.parent / "encodings"
    hostile.mkdir()
    (hostile / "__init__.py").write_text("raise SystemExit(99)")

    result = ours.mount(
        mountpoint, user=caller, cwd=mountpoint.parent, preexec_fn=lambda: os.umask(0o777) and None
    )

    assert (0, b"") == (result.exit_status, result.stderr)


def test_duplicates_are_taken_as_they_come(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Libfuse passes its own parameters along, and others pass them twice.
    """
    options = "fd=3,rootmode=40000,user_id=0,group_id=0,fsname=a,fd=4,user_id=1,fsname=b"

    result = ours.mount(mountpoint, options, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert b"b" == mount_at(mountpoint).source
    assert f"user_id={caller.uid}" in mount_at(mountpoint).options


def test_nothing_is_refused_twice(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    When its first, silenced call fails, libfuse calls again without the subtype.
    """
    arguments: list[Any] = ["-o", "subtype=x,wrong", "--", mountpoint]

    for _ in range(2):
        assert refused("unknown option 'wrong'") == ours.run(*arguments, user=caller)
    assert 0 == ours.mount(mountpoint, "fsname=x", user=caller).exit_status
