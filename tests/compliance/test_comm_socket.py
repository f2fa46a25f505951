"""The comm socket and the environment around it: contract, sections 2 and 3.1."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from compliance.likeness import Outcome, mount_outcome

from support.leaks import take_mounts_below_scratch
from support.mount_table import mounts_at
from support.program import END_OF_FILE, Program
from support.users import ROOT, User


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_one_zero_byte_with_one_descriptor_is_all_that_is_sent(
    helper: Program, user: User, mountpoint: Path, kind: socket.SocketKind
) -> None:
    """
    Libraries (libfuse, bazil) read with different buffers, and neither reads twice.
    """
    running = helper.start("--", mountpoint, user=user, comm=kind)

    assert running.receive_device()
    assert END_OF_FILE == running.receive()
    assert (0, b"", b"") == running.wait()[:3]


def test_a_client_that_never_reads_keeps_nobody_waiting(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    go-fuse waits for the helper's exit before it reads.
    """
    running = helper.start("--", mountpoint, user=caller)

    assert (0, b"", b"") == running.wait()[:3]
    assert running.receive_device()


def test_a_reader_of_no_bytes_gets_the_descriptor(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    fuse3-rs reads the control message alone, with SEQPACKET and a buffer of no bytes.
    """
    running = helper.start("--", mountpoint, user=caller, comm=socket.SOCK_SEQPACKET)
    running.wait()

    _, control, flags, _ = running.comm.recvmsg(0, socket.CMSG_SPACE(4))

    assert [(socket.SOL_SOCKET, socket.SCM_RIGHTS)] == [(one[0], one[1]) for one in control]
    assert flags & socket.MSG_TRUNC
    os.close(int.from_bytes(control[0][2], "little"))


def test_a_failure_sends_nothing(helper: Program, user: User, mountpoint: Path) -> None:
    """
    End of file is how a client sees a failure.
    """
    running = helper.start("-o", "bogus", "--", mountpoint, user=user)

    assert END_OF_FILE == running.receive()
    assert 1 == running.wait().exit_status


def test_without_a_socket_there_is_no_mount(helper: Program, user: User, mountpoint: Path) -> None:
    """
    Nobody could serve it.
    """
    outcome = mount_outcome(helper, "--", mountpoint, user=user, comm=None)

    assert Outcome(1, b"", b"fusermount3: old style mounting not supported\n") == outcome


@pytest.mark.parametrize(
    "environment",
    [
        {"_FUSE_COMMFD2": "0", "_FUSE_UNKNOWN": "x"},
        {"PATH": "/nowhere", "HOME": "/nowhere", "LC_ALL": "tr_TR.UTF-8", "LANG": "\udcff"},
        {"PYTHONPATH": "/tmp", "PYTHONHOME": "/tmp", "LD_PRELOAD": "/tmp/x.so"},
        {"FUSE_KERN_DEVICE": "/dev/null"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_the_rest_of_an_ordinary_callers_environment_is_not_looked_at(
    helper: Program, caller: User, mountpoint: Path, environment: dict[str, str]
) -> None:
    """
    go-fuse gives nothing but the socket's number, a desktop gives everything.
    """
    outcome = mount_outcome(helper, "--", mountpoint, user=caller, environment=environment)

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]


def test_root_may_name_another_device(theirs: Program, ours: Program, mountpoint: Path) -> None:
    """
    The variable came after 3.14.0, which opens /dev/fuse all the same.
    """
    os.mknod("/dev/shm/fuse-too", 0o020600, os.makedev(10, 229))
    environment = {"FUSE_KERN_DEVICE": "/dev/shm/fuse-too"}
    try:
        seen = [
            mount_outcome(program, "--", mountpoint, user=ROOT, environment=environment)
            for program in (theirs, ours)
        ]
    finally:
        Path("/dev/shm/fuse-too").unlink()

    assert [(0, b"/dev/fuse"), (0, b"/dev/shm/fuse-too")] == [
        (outcome.exit_status, outcome.mounted[0].source) for outcome in seen
    ]


@pytest.mark.parametrize(
    "text", ["", " 3", "+3", "0x3", "3x", "-1", "abc", "999", "0", "2147483648", "4294967299"]
)
def test_a_number_that_names_no_socket_mounts_nothing_with_ours(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, text: str
) -> None:
    """
    Theirs reads what it can of the text, mounts, fails to send, and leaves a dead mount behind.
    """
    how: dict[str, Any] = {"user": caller, "comm": None, "environment": {"_FUSE_COMMFD": text}}

    left, refused = (mount_outcome(program, "--", mountpoint, **how) for program in (theirs, ours))

    assert (1, 1) == (left.exit_status, len(left.left))
    assert (1, ()) == (refused.exit_status, refused.left)
    assert 1 == refused.stderr.count(b"\n")


def test_a_datagram_socket_is_refused_by_ours(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    It has no end of file, by which a client's death is seen. No caller is known to use one.
    """
    how: dict[str, Any] = {"user": caller, "comm": socket.SOCK_DGRAM}

    assert 0 == theirs.run("--", mountpoint, **how).exit_status
    refused = ours.run("--", mountpoint, **how)

    assert 1 == refused.exit_status
    assert refused.stderr.endswith(b"is not a connected Unix socket, can't send fuse fd\n")


def test_a_client_that_is_gone_leaves_no_mount_of_ours(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Theirs dies of SIGPIPE and leaves a dead mount, which every program that looks at it
    stumbles over.
    """
    seen = []
    for program in (theirs, ours):
        nobody, end = socket.socketpair()
        nobody.close()
        result = program.run(
            "--",
            mountpoint,
            user=caller,
            comm=None,
            environment={"_FUSE_COMMFD": str(end.fileno())},
            pass_fds=[end.fileno()],
        )
        end.close()
        seen.append((result.exit_status, len(mounts_at(mountpoint))))
        take_mounts_below_scratch()

    assert [(-signal.SIGPIPE, 1), (1, 0)] == seen
