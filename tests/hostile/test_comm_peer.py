"""What the other end of the comm socket may do to a helper that waits for it."""

import socket
import time
from pathlib import Path

import pytest

from support.flows import receive_armed, said
from support.mount_table import mount_at, mounts_at
from support.program import Program, Running
from support.users import User
from support.weakened import Change, Target, against

COMM = "fusermount_py/helper/kernel/comm.py"
SECONDS = 0.5
SPINNING = 25  # hundredths of a second of the 50 that there are


def ticks_while_waiting(running: Running) -> int:
    """User and system time that the helper takes of half a second, in hundredths of a second."""

    def ticks() -> int:
        text = Path(f"/proc/{running.process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()  # proc(5), stat
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(SECONDS)
    return ticks() - before


@against(Change(COMM, '            return b""\n', '            return b"x"\n'))
def test_a_byte_out_of_band_is_no_proceed_and_burns_no_time(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    Poll calls it readable, recv does not return it, and it is no word of the protocol.
    """
    running = target.program.start_sync_init(mountpoint, "fsname=demo", user=caller)
    running.receive_device()
    running.comm.send(b"x", socket.MSG_OOB)

    assert ticks_while_waiting(running) < SPINNING or target.is_weak
    assert len(mounts_at(mountpoint)) == target.is_weak
    if not target.is_weak:
        running.proceed()
    assert 0 == running.read_status()
    assert b"demo" == mount_at(mountpoint).source


@against(
    Change(
        COMM,
        "_GONE = select.POLLHUP | select.POLLERR",
        "_GONE = select.POLLHUP | select.POLLERR | select.POLLRDHUP",
    )
)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_client_that_says_no_more_after_proceed_still_gets_its_status(
    ours: Program, target: Target, caller: User, mountpoint: Path, kind: socket.SocketKind
) -> None:
    """
    Half closed is not gone: it waits for its status, as the C helper lets it.
    """
    running = target.program.start_sync_init(mountpoint, user=caller, comm=kind)
    device = receive_armed(running)
    server = ours.serve(device, holding=(running.comm,))
    server.stop()
    running.proceed()
    running.comm.shutdown(socket.SHUT_WR)
    if not target.is_weak:
        assert ticks_while_waiting(running) < SPINNING
    server.resume()

    assert (running.read_status() != 0) == target.is_weak
    assert len(mounts_at(mountpoint)) == (not target.is_weak)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_client_that_says_no_more_before_proceed_is_not_waited_for(
    ours: Program, caller: User, mountpoint: Path, kind: socket.SocketKind
) -> None:
    """
    The proceed byte cannot come any more, and an end of file stays readable for ever.
    """
    running = ours.start_sync_init(mountpoint, user=caller, comm=kind)
    running.receive_device()
    running.comm.shutdown(socket.SHUT_WR)

    assert said("the file system went away before it was mounted") == running.wait().stderr
    assert [] == mounts_at(mountpoint)
