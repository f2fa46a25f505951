"""auto_unmount: contract, section 4."""

import os
import signal
from pathlib import Path

import pytest

from support.mount_table import mounts_at
from support.program import Program, Running
from support.users import ROOT, User


def start_guarded(program: Program, mountpoint: Path, user: User) -> Running:
    """A mount with its guard, whose client has let the device go: a dead mount."""
    running = program.start("-o", "auto_unmount", "--", mountpoint, user=user)
    running.receive_device().close()
    return running


def test_root_s_mount_goes_when_its_client_does(helper: Program, mountpoint: Path) -> None:
    """
    A server that crashed is not there to unmount.
    """
    running = start_guarded(helper, mountpoint, ROOT)
    assert 1 == len(mounts_at(mountpoint))

    running.comm.close()

    assert (0, b"", b"") == running.wait()[:3]
    assert [] == mounts_at(mountpoint)


def test_an_ordinary_callers_mount_goes_with_ours_only(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Theirs looks whether the mount is dead with root's ids, which FUSE answers with EACCES, so
    it takes it for alive, unless it was mounted with allow_other.
    """
    left = []
    for program in (theirs, ours):
        running = start_guarded(program, mountpoint, caller)
        running.comm.close()
        assert (0, b"", b"") == running.wait()[:3]
        left.append(len(mounts_at(mountpoint)))
        ours.run("-u", "-q", "--", mountpoint, user=caller, comm=None)

    assert [1, 0] == left


def test_a_mount_that_is_alive_stays(helper: Program, user: User, mountpoint: Path) -> None:
    """
    The socket may be closed while another process goes on serving.
    """
    running = helper.start("-o", "auto_unmount", "--", mountpoint, user=user)
    device = running.receive_device()
    helper.serve(device)
    device.close()

    running.comm.close()

    assert 0 == running.wait().exit_status
    assert 1 == len(mounts_at(mountpoint))


def test_a_clean_unmount_before_is_no_failure(
    theirs: Program, ours: Program, user: User, mountpoint: Path
) -> None:
    """
    That is how most file systems end. Theirs mentions it, to a terminal that is long elsewhere.
    """
    seen = []
    for program in (theirs, ours):
        running = start_guarded(program, mountpoint, user)
        assert 0 == program.unmount(mountpoint, user=user).exit_status
        running.comm.close()
        seen.append(running.wait()[:3])

    note = f"fusermount3: {mountpoint} not mounted\n".encode()
    assert [(0, b"", note), (0, b"", b"")] == seen


def test_what_the_client_says_is_ignored(helper: Program, mountpoint: Path) -> None:
    """
    Only its end counts.
    """
    running = start_guarded(helper, mountpoint, ROOT)
    running.comm.send(b"x" * 100)
    assert 1 == len(mounts_at(mountpoint))

    running.comm.close()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_guard_outlives_what_a_terminal_sends(
    helper: Program, mountpoint: Path, number: signal.Signals
) -> None:
    """
    Ctrl-C reaches the server and all it has started: the guard is needed just then.
    """
    running = start_guarded(helper, mountpoint, ROOT)
    wait_until_detached(running)
    os.kill(running.process.pid, number)

    running.comm.close()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


def wait_until_detached(running: Running) -> None:
    """Until it has a session of its own and, if it ever will, signals of its own choice."""
    pid = running.process.pid
    while os.getsid(pid) != pid or os.readlink(f"/proc/{pid}/cwd") != "/":
        os.sched_yield()
    while not ignores_or_blocks(pid, signal.SIGINT):
        os.sched_yield()


def ignores_or_blocks(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    masks = [line.split()[1] for line in status.splitlines() if line[:6] in ("SigBlk", "SigIgn")]
    return any(int(mask, 16) & 1 << (number - 1) for mask in masks)


def test_only_ours_lets_go_of_stdout_and_stderr(
    theirs: Program, ours: Program, mountpoint: Path
) -> None:
    """
    Libraries (fuser) read both to their end, which is never with a guard that holds them.
    """
    held = []
    for program in (theirs, ours):
        running = start_guarded(program, mountpoint, ROOT)
        wait_until_detached(running)
        ends = {os.readlink(f"/proc/{running.process.pid}/fd/{fd}") for fd in (1, 2)}
        held.append(ends != {"/dev/null"})
        running.comm.close()
        running.wait()

    assert [True, False] == held


def test_guarding_an_existing_mount_came_after_3_14(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    It is for servers that mount by themselves, as root.
    """
    refused = theirs.run("--auto-unmount", "--", mountpoint, user=caller)
    mounted = ours.mount(mountpoint, user=caller).device
    running = ours.start("--auto-unmount", "--", mountpoint, user=caller)
    wait_until_detached(running)
    assert mounted is not None
    mounted.close()

    running.comm.close()

    assert b"fusermount3: unrecognized option '--auto-unmount'\n" == refused.stderr
    assert (0, b"", b"") == running.wait()[:3]
    assert [] == mounts_at(mountpoint)
