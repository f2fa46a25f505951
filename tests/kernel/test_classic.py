"""Classic: mount, then one message with the device, then exit (contract, 3.1)."""

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from support.flows import DEMO, assert_serves_demo, classic, refused, said
from support.mount_table import mount_at, mounts_at
from support.program import END_OF_FILE, Program, Result
from support.users import User

ARRANGEMENTS = [
    "-o OPTIONS -- MOUNTPOINT",  # libfuse, bazil, fuser
    "MOUNTPOINT -o OPTIONS",  # go-fuse
    "-o OPTIONS MOUNTPOINT",  # fuse3-rs
    "-oOPTIONS MOUNTPOINT",
    "--options=OPTIONS MOUNTPOINT",
]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("comm", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_an_ordinary_user_mounts(
    ours: Program, caller: User, mountpoint: Path, arrangement: str, comm: socket.SocketKind
) -> None:
    """
    The way of every FUSE library to this day, with _FUSE_COMMFD alone in the environment.
    """
    words = arrangement.replace("OPTIONS", DEMO)
    running = ours.start(
        *words.replace("MOUNTPOINT", str(mountpoint)).split(), user=caller, comm=comm
    )

    ours.serve(running.receive_device())
    assert Result(0, b"", b"") == running.wait()
    assert END_OF_FILE == running.receive()
    assert_serves_demo(mountpoint, caller)


def test_a_reader_may_come_late_and_without_room(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Go-fuse waits for our exit first, fuse3-rs reads into no bytes at all.
    """
    running = ours.start("--", mountpoint, user=caller, comm=socket.SOCK_SEQPACKET)
    assert 0 == running.wait().exit_status

    payload, descriptors, _, _ = socket.recv_fds(running.comm, 0, 4)

    assert (b"", 1) == (payload, len(descriptors))
    os.close(descriptors[0])


def test_a_refused_mount_sends_nothing(ours: Program, another_user: User, mountpoint: Path) -> None:
    """
    End of file is how a client learns that there will be no device.
    """
    running = ours.start("--", mountpoint, user=another_user)

    assert END_OF_FILE == running.receive()
    assert refused(f"user has no write access to mountpoint {mountpoint}") == running.wait()
    assert [] == mounts_at(mountpoint)


def mount_with(
    program: Program, comm: socket.socket, mountpoint: Path, user: User, *words: str
) -> Result:
    """Mount with a comm socket of the test's own making."""
    return program.run(
        *words, "--", mountpoint, user=user, comm=None, pass_fds=[comm.fileno()],
        environment={"_FUSE_COMMFD": str(comm.fileno())},
    )  # fmt: skip


def test_a_mount_whose_client_is_gone_is_taken_back(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Otherwise a dead mount stays where nobody knows of it.
    """
    client, comm = socket.socketpair()
    client.close()

    with comm:
        result = mount_with(ours, comm, mountpoint, caller)

    assert refused("sending file descriptor: Broken pipe") == result
    assert [] == mounts_at(mountpoint)


def fill(comm: socket.socket) -> None:
    """Send until the other end's room is used up."""
    with contextlib.suppress(BlockingIOError):
        while True:
            comm.send(b"x", socket.MSG_DONTWAIT)


@pytest.mark.parametrize("words", [(), ("--sync-init",)])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_full_socket_makes_nobody_wait(
    ours: Program,
    caller: User,
    mountpoint: Path,
    kind: socket.SocketKind,
    words: tuple[str, ...],
) -> None:
    """
    A client that fills the socket and never reads would else hold a helper for ever.
    """
    client, comm = socket.socketpair(socket.AF_UNIX, kind)
    with client, comm:
        fill(comm)

        result = mount_with(ours, comm, mountpoint, caller, *words)

    assert said("sending file descriptor: Resource temporarily unavailable") == result.stderr
    assert 1 == result.exit_status
    assert [] == mounts_at(mountpoint)


def test_a_regular_file_is_a_mountpoint(ours: Program, caller: User, home: Path) -> None:
    """
    A file system of one file is mounted on a file; the kernel wants its type told in rootmode.
    """
    path = home / "file"
    path.touch()
    os.chown(path, caller.uid, caller.gid)

    result = ours.mount(path, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert result.device is not None
    ours.serve(result.device, root_mode=stat.S_IFREG | 0o640)
    assert stat.S_IFREG | 0o640 == caller.call(os.stat, path).st_mode


def test_a_mount_goes_onto_ones_own_mount(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    With all its ids the caller's, the helper may look at what only the caller may.
    """
    for name in ("lower", "upper"):
        result = ours.mount(mountpoint, f"fsname={name}", user=caller)
        assert (0, b"") == (result.exit_status, result.stderr)
        assert result.device is not None
        ours.serve(result.device)

    lower, upper = mounts_at(mountpoint)
    assert (b"lower", b"upper", lower.mount_id) == (lower.source, upper.source, upper.parent_id)


def test_root_mounts_too(ours: Program, mountpoint: Path) -> None:
    """
    Servers that run as root use the same program; no permission rule stops root.
    """
    root = User(0, 0)

    result = ours.mount(mountpoint, "dev,suid", user=root)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert {"rw", "relatime"} == mount_at(mountpoint).attributes


def test_a_mount_goes_into_ones_own_mount(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    The C helper refuses by accident: some of its ids are not the caller's, and so it sees nothing.
    """
    outer = ours.mount(mountpoint, "fsname=outer", user=caller)
    assert outer.device is not None
    ours.serve(outer.device)

    inner = ours.mount(mountpoint / "inside", "fsname=inner", user=caller)

    assert (0, b"") == (inner.exit_status, inner.stderr)
    assert b"inner" == mount_at(mountpoint / "inside").source


def test_a_mount_that_does_not_answer_is_no_mountpoint(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    What the file system fails to say about itself must not be taken for an answer.
    """
    result = ours.mount(mountpoint, user=caller)
    assert result.device is not None
    ours.serve(result.device, statfs=errno.EIO)

    assert refused(f"failed to access mountpoint {mountpoint}: Input/output error") == classic(
        ours, mountpoint, user=caller
    )
