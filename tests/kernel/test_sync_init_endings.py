"""Sync-init that ends without a mount: nothing stays, and the client learns of it."""

import errno
import os
import signal
import socket
from pathlib import Path

import pytest

from support import kernel
from support.flows import receive_armed, said, until
from support.mount_table import mount_at, mounts_at
from support.program import END_OF_FILE, Program, Result
from support.users import User

# A long name goes through mount(2), where creating and mounting are one call.
EACH_INTERFACE = pytest.mark.parametrize(
    "options", ["", f"fsname={'n' * 300}"], ids=["fsopen", "mount"]
)


def connection_of(device: int) -> Path | None:
    """The connection of an open device, as fusectl shows it; None before FUSE_INIT is sent."""
    info = Path(f"/proc/self/fdinfo/{device}").read_text(encoding="ascii")
    number = info.partition("fuse_connection:")[2].split()
    return Path("/sys/fs/fuse/connections", number[0]) if number else None


@EACH_INTERFACE
def test_a_server_killed_during_fuse_init_leaves_nothing(
    ours: Program, caller: User, mountpoint: Path, options: str
) -> None:
    """
    The C helper hangs here for ever, as root: its own fd keeps the connection alive.
    """
    running = ours.start_sync_init(mountpoint, options, user=caller)
    device = receive_armed(running)
    peer = ours.serve(device, init=None, holding=(running.comm,))
    running.proceed()
    until(lambda: connection_of(device.fileno()), "FUSE_INIT is sent")
    connection = connection_of(device.fileno())
    assert connection is not None
    assert connection.exists()
    device.close()
    running.comm.close()

    peer.kill()

    sentence = "the file system went away before it was mounted"
    assert Result(1, b"", said(sentence)) == running.wait()
    assert [] == mounts_at(mountpoint)
    until(lambda: not connection.exists(), "the connection goes")


@EACH_INTERFACE
def test_a_server_that_never_answers_is_given_up(
    ours: Program, caller: User, mountpoint: Path, options: str
) -> None:
    """
    A client that still waits learns why, and may try another way.
    """
    running = ours.start_sync_init(
        mountpoint, options, user=caller, environment={"_FUSE_INIT_TIMEOUT": "1"}
    )
    ours.serve(receive_armed(running), init=None)
    running.proceed()

    assert -errno.ETIMEDOUT == running.read_status()
    sentence = "mount failed: the file system did not answer FUSE_INIT within 1 seconds"
    assert Result(1, b"", said(sentence)) == running.wait()
    assert [] == mounts_at(mountpoint)


@EACH_INTERFACE
@pytest.mark.parametrize("answer", [errno.EPERM, errno.EPROTO])
def test_a_server_may_refuse_to_be_mounted(
    ours: Program, caller: User, mountpoint: Path, options: str, answer: int
) -> None:
    """
    With the handshake, a server that finds its disk broken can still say no.
    """
    running = ours.start_sync_init(mountpoint, options, user=caller)
    ours.serve(receive_armed(running), init=answer)
    running.proceed()

    assert -errno.ENOTCONN == running.read_status()
    assert Result(1, b"", said("mount failed: the file system refused FUSE_INIT")) == running.wait()
    assert [] == mounts_at(mountpoint)


def test_a_client_gone_before_proceed_is_not_mounted_for(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Nobody would serve it.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device().close()
    running.comm.close()

    sentence = "the file system went away before it was mounted"
    assert Result(1, b"", said(sentence)) == running.wait()
    assert [] == mounts_at(mountpoint)


def test_a_client_that_never_proceeds_is_given_up(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A stopped client would else keep a helper with a capability for as long as it likes.
    """
    running = ours.start_sync_init(
        mountpoint, user=caller, environment={"_FUSE_PROCEED_TIMEOUT": "0.1"}
    )
    running.receive_device()

    assert -errno.ETIMEDOUT == running.read_status()
    sentence = "no proceed signal from the file system within 0.1 seconds"
    assert Result(1, b"", said(sentence)) == running.wait()
    assert [] == mounts_at(mountpoint)


def test_a_status_that_nobody_can_read_takes_the_mount_back(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A client that does not know of its mount will not unmount it.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    running.comm.shutdown(socket.SHUT_RD)
    running.proceed()

    assert Result(1, b"", said("sending status: Broken pipe")) == running.wait()
    assert [] == mounts_at(mountpoint)


@EACH_INTERFACE
@pytest.mark.parametrize("armed", [True, False], ids=["armed", "not armed"])
def test_a_client_that_hangs_up_right_after_proceed_has_no_mount(
    ours: Program, caller: User, mountpoint: Path, options: str, armed: bool
) -> None:
    """
    The helper says that there is none; and a mount that nobody serves hides the directory.
    """
    for _ in range(10):
        running = ours.start_sync_init(mountpoint, options, user=caller)
        device = receive_armed(running) if armed else running.receive_device()
        running.process.send_signal(signal.SIGSTOP)  # else it may be faster
        running.proceed()
        running.comm.close()
        device.close()
        running.process.send_signal(signal.SIGCONT)

        assert 1 == running.wait().exit_status
        assert [] == mounts_at(mountpoint)


@EACH_INTERFACE
def test_what_root_mounts_before_proceed_is_not_covered(
    ours: Program, caller: User, mountpoint: Path, options: str
) -> None:
    """
    Nobody has judged it: it may be what the user must not hide, such as a file system of root's.
    """
    running = ours.start_sync_init(mountpoint, options, user=caller)
    running.receive_device()
    kernel.mount("tmpfs", mountpoint, "tmpfs", options="mode=0755")
    running.proceed()

    assert -errno.EBUSY == running.read_status()
    sentence = f"something else was mounted on {mountpoint} meanwhile"
    assert Result(1, b"", said(sentence)) == running.wait()
    assert "tmpfs" == mount_at(mountpoint).fstype


@EACH_INTERFACE
def test_a_mountpoint_whose_mount_is_gone_before_proceed_is_told_by_the_status(
    ours: Program, caller: User, home: Path, options: str
) -> None:
    """
    What is held is then in no mount namespace at all, and nobody would ever see the mount.
    """
    kernel.mount("tmpfs", home, "tmpfs", options=f"uid={caller.uid}")
    mountpoint = home / "mountpoint"
    caller.call(os.mkdir, mountpoint)
    running = ours.start_sync_init(mountpoint, options, user=caller)
    running.receive_device()
    kernel.umount(home)
    running.proceed()

    assert -errno.EPERM == running.read_status()
    sentence = f"mountpoint {mountpoint} is not in the mount namespace of its user"
    assert Result(1, b"", said(sentence)) == running.wait()


@EACH_INTERFACE
def test_a_mountpoint_removed_before_proceed_is_told_by_the_status(
    ours: Program, caller: User, mountpoint: Path, options: str
) -> None:
    """
    After the device was sent, the status is the only way in which a client hears of a failure.
    """
    running = ours.start_sync_init(mountpoint, options, user=caller)
    running.receive_device()
    mountpoint.rmdir()
    running.proceed()

    assert -errno.ENOENT == running.read_status()
    assert Result(1, b"", said("mount failed: No such file or directory")) == running.wait()
    mountpoint.mkdir()


@pytest.mark.parametrize("moment", ["before proceed", "during FUSE_INIT"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_the_wait_without_a_mount(
    ours: Program, caller: User, mountpoint: Path, moment: str, number: int
) -> None:
    """
    Ctrl-C in the terminal of a server that is starting; its client then finds end of file.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    device = receive_armed(running)
    if moment == "during FUSE_INIT":
        ours.serve(device, init=None)
        running.proceed()
        until(lambda: connection_of(device.fileno()), "FUSE_INIT is sent")

    caller.call(os.kill, running.process.pid, number)

    assert END_OF_FILE == running.receive()
    assert Result(-number, b"", b"") == running.wait()
    assert [] == mounts_at(mountpoint)


def test_clients_wait_for_their_own_server_only(
    ours: Program, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    A server that hangs in FUSE_INIT is its user's trouble and nobody else's.
    """
    hanging = ours.start_sync_init(mountpoint, user=caller)
    device = receive_armed(hanging)
    ours.serve(device, init=None)
    hanging.proceed()
    until(lambda: connection_of(device.fileno()), "FUSE_INIT is sent")
    other = home / "other"
    other.mkdir()
    os.chown(other, caller.uid, caller.gid)

    result = ours.mount(other, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert mount_at(other)
