"""The guard by itself, with a helper that only says how it was started."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import machine
from support.program import PATIENCE, Program
from support.users import User

MOUNT_ID = "18446744073709551615"  # the longest
STAND_IN = """#!/usr/bin/python3 -ISB
import json, os, sys
with open(sys.argv[-1], "w") as report:
    json.dump({"argv": sys.argv[1:], "environment": dict(os.environ)}, report)
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def report(home: Path) -> Path:
    """Where the stand-in for the helper says how it was started; the "mountpoint"."""
    return home / "report"


@pytest.fixture
def start(installed_helper: str, home: Path, caller: User, report: Path) -> Iterator[Start]:
    stand_in = home / "helper"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    started = []

    def start_guard(comm: socket.socket, **popen: object) -> "subprocess.Popen[bytes]":
        guard = subprocess.Popen(  # type: ignore[call-overload]  # popen's types are the test's
            [
                "guard",
                stand_in,
                "/bin/fusermount",
                str(comm.fileno()),
                "18446744073709551615",
                report,
            ],
            executable=machine.PREFIX / "lib" / "fusermount-py" / "guard",
            user=caller.uid,
            group=caller.gid,
            extra_groups=(),
            env={},
            pass_fds=[comm.fileno()],
            **popen,
        )
        comm.close()
        started.append(guard)
        return guard  # type: ignore[no-any-return]  # see above

    yield start_guard
    for guard in started:
        guard.kill()
        guard.wait()


def socket_pair(
    kind: socket.SocketKind = socket.SOCK_STREAM,
) -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, kind)


def wait_until_it_waits(guard: "subprocess.Popen[bytes]") -> None:
    """Its last act before waiting is to go to the root directory."""
    deadline = time.monotonic() + PATIENCE
    while os.readlink(f"/proc/{guard.pid}/cwd") != "/":
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_end_of_file_starts_the_helper_on_exactly_that_mount(
    start: Start, report: Path, kind: socket.SocketKind
) -> None:
    """
    The mount id, not the path alone, says what may be taken; and nothing of the environment
    in which the server lived reaches a setuid program.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    guard = start(theirs)
    ours.close()

    assert 0 == guard.wait(PATIENCE)
    answer = json.loads(report.read_text())
    words = ["--unmount", "--lazy", "--quiet", f"--dead-mount={MOUNT_ID}", "--"]
    assert [*words, str(report)] == answer["argv"]
    assert answer["environment"].keys() <= {"LC_CTYPE"}, "which python sets by itself"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (socket.SOCK_STREAM, [b"x" * 4096] * 200),
        (socket.SOCK_SEQPACKET, [b"", b"proceed", b""]),
    ],
)
def test_what_a_client_says_does_not_end_the_wait(
    start: Start, report: Path, kind: socket.SocketKind, words: list[bytes]
) -> None:
    """
    A client may write what it likes, more than a socket holds, and a SEQPACKET message of no
    bytes looks like end of file: the guard of a living mount must not leave.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    guard = start(theirs)
    ours.settimeout(PATIENCE)
    for word in words:
        ours.send(word)

    with pytest.raises(subprocess.TimeoutExpired):
        guard.wait(0.05)
    ours.close()
    assert 0 == guard.wait(PATIENCE)
    assert report.exists()


def test_a_byte_out_of_band_ends_no_wait_and_burns_no_time(start: Start, report: Path) -> None:
    """
    Poll calls it readable, recv does not return it: a guard that takes this for the end leaves a
    living server alone, and one that looks again and again keeps a processor busy for days.
    """
    ours, theirs = socket.socketpair()
    guard = start(theirs)
    wait_until_it_waits(guard)
    before = used_ticks(guard.pid)
    for _ in range(3):
        ours.send(b"x", socket.MSG_OOB)
        time.sleep(0.2)
        ours.send(b"y")

    assert guard.poll() is None
    assert used_ticks(guard.pid) - before < 30, "of the 60 that there were"
    ours.close()
    assert 0 == guard.wait(PATIENCE)
    assert report.exists()


def used_ticks(pid: int) -> int:
    """User and system time so far, in hundredths of a second (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_server_that_says_no_more_is_guarded_until_it_is_gone(
    start: Start, report: Path, kind: socket.SocketKind
) -> None:
    """
    Half closed is not gone: a server may close the direction it does not need, and serve on.
    """
    ours, theirs = socket_pair(kind)
    guard = start(theirs)
    wait_until_it_waits(guard)
    ours.send(b"last words")
    ours.shutdown(socket.SHUT_WR)

    before = used_ticks(guard.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        guard.wait(0.4)
    assert used_ticks(guard.pid) - before < 20, "of the 40 that there were"
    ours.close()
    assert 0 == guard.wait(PATIENCE)
    assert report.exists()


def test_nothing_but_the_comm_socket_stays_open(start: Start, home: Path) -> None:
    """
    A caller that reads its helper's stderr to the end would wait as long as the mount lives.
    """
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    guard = start(theirs, stdin=writer, stdout=writer, stderr=writer, cwd=home)
    os.close(writer)
    wait_until_it_waits(guard)

    assert b"" == os.read(reader, 1), "end of file: nobody holds the other end"
    table = Path(f"/proc/{guard.pid}/fd")
    open_files = {int(entry.name): os.readlink(entry) for entry in table.iterdir()}
    null = {0: "/dev/null", 1: "/dev/null", 2: "/dev/null"}
    assert {**null, 3: open_files[3]} == open_files
    assert open_files[3].startswith("socket:")
    os.close(reader)
    ours.close()


def test_the_comm_socket_may_be_standard_input(start: Start, report: Path) -> None:
    """
    A caller that starts with its descriptors closed gets low numbers from the kernel.
    """
    ours, theirs = socket.socketpair()
    kept = os.dup(0)
    os.dup2(theirs.fileno(), 0)
    theirs.close()
    guard = start(socket.socket(fileno=0), stdin=None)
    os.dup2(kept, 0)
    os.close(kept)
    wait_until_it_waits(guard)

    assert guard.poll() is None
    ours.close()
    assert 0 == guard.wait(PATIENCE)
    assert report.exists()


def test_signals_meant_for_the_server_do_not_end_the_guard(start: Start, report: Path) -> None:
    """
    Ctrl-C, a closed terminal and a stopped service hit the whole group: the guard is what
    cleans up behind the server that died of it.
    """
    ours, theirs = socket.socketpair()
    guard = start(theirs)
    wait_until_it_waits(guard)
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}:
        guard.send_signal(number)
    guard.send_signal(signal.SIGSTOP)
    guard.send_signal(signal.SIGCONT)

    with pytest.raises(subprocess.TimeoutExpired):
        guard.wait(0.05)
    assert os.getsid(guard.pid) == guard.pid, "no terminal of the server's is left"
    ours.close()
    assert 0 == guard.wait(PATIENCE)
    assert report.exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["/bin/true", "f", "0", "1"],
        ["/bin/true", "f", "0", "1", "/mnt", "more"],
        ["/bin/true", "f", "-1", "1", "/mnt"],
        ["/bin/true", "f", "0x", "1", "/mnt"],
    ],
)
def test_words_that_make_no_sense_start_nothing(installed_helper: str, words: list[str]) -> None:
    """
    Anybody can start it by hand.
    """
    guard = machine.PREFIX / "lib" / "fusermount-py" / "guard"
    result = subprocess.run(
        [guard, *words], stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False
    )

    assert 1 == result.returncode, "0 is what /bin/true would say"


def memory_of(pid: int) -> tuple[int, int]:
    """Proportional set size and private dirty memory, in kB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in rollup[1:]}
    return kilobytes["Pss:"], kilobytes["Private_Dirty:"]


def test_a_waiting_guard_takes_less_memory_than_theirs(
    ours: Program, theirs: Program, caller: User, home: Path
) -> None:
    """
    One waits beside each auto_unmount mount of a machine, as long as the mount lives.
    """
    memory = []
    for name, program in (("ours", ours), ("theirs", theirs)):
        mountpoint = home / name
        mountpoint.mkdir()
        os.chown(mountpoint, caller.uid, caller.gid)
        running = program.start("-o", "auto_unmount", "--", mountpoint, user=caller)
        running.receive_device()
        wait_until_it_waits(running.process)
        memory.append(memory_of(running.process.pid))
    (pss, dirty), (their_pss, their_dirty) = memory

    assert pss <= their_pss
    assert dirty <= their_dirty
