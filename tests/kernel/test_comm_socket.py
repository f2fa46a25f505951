"""Which descriptor is the comm socket, and which is none (contract, section 2)."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import refused
from support.mount_table import mounts_at
from support.program import Program, Result
from support.users import User

NO_SOCKET = "file descriptor {} is not a connected Unix socket, can't send fuse fd"


def test_without_a_comm_socket_there_is_nobody_to_mount_for(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Before the comm socket, fusermount started the server itself: that is gone.
    """
    result = ours.run("--", mountpoint, user=caller, comm=None)

    assert refused("old style mounting not supported") == result
    assert [] == mounts_at(mountpoint)


def an_inet_socket() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        server.accept()[0].close()
        return client.detach()


def an_unconnected_socket() -> int:
    return socket.socket(socket.AF_UNIX).detach()


def a_datagram_socket() -> int:
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    second.close()
    return first.detach()


def a_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def a_file() -> int:
    return os.open("/etc/passwd", os.O_RDONLY)


def a_directory() -> int:
    return os.open("/", os.O_RDONLY)


@pytest.mark.parametrize(
    "make",
    [an_inet_socket, an_unconnected_socket, a_datagram_socket, a_pipe, a_file, a_directory],
)
def test_a_comm_socket_is_a_connected_unix_socket(
    ours: Program, caller: User, mountpoint: Path, make: Callable[[], int]
) -> None:
    """
    Through anything else the device would be lost, after the mount was made.
    """
    number = make()
    try:
        result = ours.run(
            "--", mountpoint, user=caller, comm=None, pass_fds=[number],
            environment={"_FUSE_COMMFD": str(number)},
        )  # fmt: skip
    finally:
        os.close(number)

    assert refused(NO_SOCKET.format(number)) == result
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("number", ["0", "1", "2", "99", "2147483647"])
def test_a_number_that_is_no_socket_is_refused(
    ours: Program, caller: User, mountpoint: Path, number: str
) -> None:
    """
    Whatever the helper itself opened first must not be taken for it.
    """
    result = ours.run(
        "--", mountpoint, user=caller, comm=None, environment={"_FUSE_COMMFD": number}
    )

    assert refused(NO_SOCKET.format(number)) == result


@pytest.mark.parametrize("form", ["--comm-fd={}", "--comm-fd {}", "--comm {}"])
def test_the_comm_fd_option_wins_over_the_environment(
    ours: Program, caller: User, mountpoint: Path, form: str
) -> None:
    """
    A library that was itself started by one has a stale variable in its environment.
    """
    running = ours.start(
        *form.format(17).split(), "--", mountpoint, user=caller, comm_fd=17,
        environment={"_FUSE_COMMFD": "0"},
    )  # fmt: skip

    assert running.receive_device()
    assert Result(0, b"", b"") == running.wait()
