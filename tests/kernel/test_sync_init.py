"""Sync-init: device, proceed, FUSE_INIT, mount, status (contract, 3.2)."""

import os
import socket
from pathlib import Path

import pytest

from support.flows import DEMO, assert_serves_demo, receive_armed
from support.mount_table import mount_at, mounts_at, mounts_below
from support.program import END_OF_FILE, Program, Result
from support.users import User


@pytest.mark.parametrize("comm", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
@pytest.mark.parametrize("words", ["--sync-init -o OPTIONS -- MNT", "MNT -o OPTIONS --sync-init"])
def test_an_ordinary_user_mounts_a_server_that_already_runs(
    ours: Program, caller: User, mountpoint: Path, comm: socket.SocketKind, words: str
) -> None:
    """
    What synchronous FUSE_INIT is for: once it is mounted, it answers.
    """
    arguments = words.replace("OPTIONS", DEMO).replace("MNT", str(mountpoint))
    running = ours.start(*arguments.split(), user=caller, comm=comm)
    ours.serve(receive_armed(running))
    assert [] == mounts_at(mountpoint)

    running.proceed()

    assert 0 == running.read_status()
    assert Result(0, b"", b"") == running.wait()
    assert END_OF_FILE == running.receive()
    assert_serves_demo(mountpoint, caller)


def test_a_server_that_arms_nothing_is_mounted_at_once(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Libfuse 3.19 says --sync-init for every mount; on kernels before 6.18 nothing can be armed.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    device = running.receive_device()
    running.proceed()

    assert 0 == running.read_status()
    assert 0 == running.wait().exit_status
    ours.serve(device)
    assert 2 == caller.call(os.stat, mountpoint).st_nlink


@pytest.mark.parametrize("byte", [b"\0", b"\1", b"P", b"\xff", b"\0more of it"])
def test_proceed_is_one_byte_of_any_value(
    ours: Program, caller: User, mountpoint: Path, byte: bytes
) -> None:
    """
    The documents never fixed its value, so clients differ.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    running.proceed(byte)

    assert 0 == running.read_status()
    assert mount_at(mountpoint)


def test_an_empty_message_is_neither_proceed_nor_end_of_file(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    To recv, a SOCK_SEQPACKET message of no bytes looks like the end of the connection.
    """
    running = ours.start_sync_init(mountpoint, user=caller, comm=socket.SOCK_SEQPACKET)
    running.receive_device()
    for _ in range(3):
        running.comm.send(b"")
    running.proceed()

    assert 0 == running.read_status()
    assert mount_at(mountpoint)


def test_messages_after_proceed_are_dropped(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    A chatty client must not end the wait for its server.
    """
    running = ours.start_sync_init(mountpoint, user=caller, comm=socket.SOCK_SEQPACKET)
    device = receive_armed(running)
    for message in (b"\0", b"", b"noise" * 100):
        running.comm.send(message)
    ours.serve(device)

    assert 0 == running.read_status()
    assert mount_at(mountpoint)


def test_the_mount_lands_where_it_was_allowed(
    ours: Program, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    Between device and proceed the caller has minutes to put a symlink to /etc in the path.
    """
    victim, parent = home / "victim", home / "parent"
    for folder in (victim, victim / "mountpoint", parent):
        folder.mkdir()
    os.chown(parent, caller.uid, caller.gid)
    mountpoint = mountpoint.rename(parent / "mountpoint")
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()

    parent.rename(home / "moved")
    parent.symlink_to(victim)
    running.proceed()

    assert 0 == running.read_status()
    (entry,) = mounts_below(home)
    assert os.fsencode(home / "moved" / "mountpoint") == entry.mountpoint
