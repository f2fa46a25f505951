"""What real callers leave around a call: contract, section 12."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User

ALL_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def close_standard_descriptors() -> None:
    os.closerange(0, 3)


def null_for_reading() -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    for number in range(3):
        os.dup2(null, number)


def full_device() -> None:
    full = os.open("/dev/full", os.O_RDWR)
    for number in range(3):
        os.dup2(full, number)


def event_counters() -> None:
    counter = os.eventfd(0)
    for number in range(3):
        os.dup2(counter, number)


def read_end_of_a_pipe() -> None:
    reader, _ = os.pipe()
    for number in range(3):
        os.dup2(reader, number)


def pipe_without_a_reader() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for number in range(3):
        os.dup2(writer, number)


DESCRIPTORS = [
    close_standard_descriptors,
    null_for_reading,
    full_device,
    event_counters,
    read_end_of_a_pipe,
    pipe_without_a_reader,
]


@pytest.mark.parametrize("prepare", DESCRIPTORS)
def test_standard_descriptors_change_nothing_of_a_mount(
    helper: Program, caller: User, mountpoint: Path, prepare: Callable[[], None]
) -> None:
    """
    Some (fuse-native of node) close all three, others have an eventfd there; the socket is at 17.
    """
    running = helper.start(
        "-o", "ro", "--", mountpoint, user=caller, comm_fd=17, preexec_fn=prepare
    )

    assert 0 == running.wait().exit_status
    assert running.receive_device()
    assert "ro" in mount_at(mountpoint).attributes


@pytest.mark.parametrize("prepare", [*DESCRIPTORS[:3], DESCRIPTORS[4]])
def test_a_message_that_cannot_be_written_changes_nothing(
    helper: Program, caller: User, mountpoint: Path, prepare: Callable[[], None]
) -> None:
    """
    A refusal is exit 1, and a mount with a warning is a mount.
    """
    refused = helper.mount(mountpoint, "bogus", user=caller, preexec_fn=prepare)
    warned = helper.mount(mountpoint, "suid", user=caller, preexec_fn=prepare)

    assert 1 == refused.exit_status
    assert 0 == warned.exit_status
    assert 1 == len(mounts_at(mountpoint))


def test_only_theirs_dies_of_a_message_nobody_reads(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A mount with a warning is a mount; theirs is killed by SIGPIPE before it has mounted.
    """
    seen = [
        program.mount(mountpoint, "suid", user=caller, preexec_fn=pipe_without_a_reader_and_default)
        for program in (theirs, ours)
    ]

    assert [-signal.SIGPIPE, 0] == [result.exit_status for result in seen]


def pipe_without_a_reader_and_default() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    pipe_without_a_reader()


def ignore_signals() -> None:
    for number in ALL_SIGNALS:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_IGN)


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)


@pytest.mark.parametrize("prepare", [ignore_signals, block_signals])
def test_ignored_and_blocked_signals_change_nothing(
    helper: Program, caller: User, mountpoint: Path, prepare: Callable[[], None]
) -> None:
    """
    Daemons ignore SIGCHLD and SIGPIPE, and start helpers from threads that block everything.
    """
    mounted = helper.mount(mountpoint, user=caller, preexec_fn=prepare)
    unmounted = helper.unmount(mountpoint, user=caller, preexec_fn=prepare)

    assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]


@pytest.mark.parametrize(
    "argv0", ["fusermount3", "fusermount", "/bin/fusermount", "./f", "a b", "%s%n", "\udcff", ""]
)
def test_the_prefix_of_a_message_is_the_name_it_was_called_by(
    helper: Program, caller: User, mountpoint: Path, argv0: str
) -> None:
    """
    The user knows the program by that name.
    """
    result = helper.mount(mountpoint, "bogus", user=caller, argv0=argv0)

    assert os.fsencode(argv0) + b": unknown option 'bogus'\n" == result.stderr


def test_a_hundred_inherited_descriptors_change_nothing(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    Not every program marks its files close-on-exec.
    """

    def inherit() -> None:
        for _ in range(100):
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)

    assert (0, b"", b"") == helper.mount(mountpoint, user=caller, preexec_fn=inherit)[:3]


@pytest.fixture
def deleted_directory(home: Path) -> Iterator[Path]:
    path = home / "deleted"
    path.mkdir()
    yield path
    assert not path.exists()


def test_a_current_directory_that_is_gone_is_not_needed(
    helper: Program, caller: User, mountpoint: Path, deleted_directory: Path
) -> None:
    """
    A server started from a directory that was removed since.
    """

    def enter_and_delete() -> None:
        os.chdir(deleted_directory)
        deleted_directory.rmdir()

    mounted = helper.mount(mountpoint, user=caller, preexec_fn=enter_and_delete)

    assert (0, b"", b"") == mounted[:3]


def few_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))


def test_a_umask_and_a_limit_of_twenty_descriptors_change_nothing(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    Service managers set both.
    """
    mounted = helper.mount(mountpoint, user=caller, umask=0o777, preexec_fn=few_descriptors)

    assert (0, b"", b"") == mounted[:3]
