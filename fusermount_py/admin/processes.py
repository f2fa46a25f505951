"""
Processes, as /proc shows them; none of them can make us wait.

    every process -> the names of its open files -> who holds which FUSE device

``readlink`` on /proc/PID/fd/N and a read of /proc/PID/fdinfo/N ask the kernel alone; a ``stat``
through them would ask the file system. But most files of /proc/PID take locks that the process may
hold while it waits, for a hung mount say: ps then hangs. So each is read in a thread that we leave
behind when it takes too long, and a process is called by its ``comm``, which takes no such lock.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

Answer = TypeVar("Answer")
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # include/linux/proc_ns.h: PROC_PID_INIT_INO
_TICKS = os.sysconf("SC_CLK_TCK")
_READ_SECONDS = 0.5
_IDENTIFYING_RELEASE = (6, 18)  # from here on fdinfo names the connection of a device


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment."""

    pid: int
    uid: int
    command: str
    state: str  # proc(5): R S D T t Z
    age: float  # seconds since it was started

    @property
    def is_stopped(self) -> bool:
        return self.state in ("T", "t")


@dataclass(slots=True)
class Snapshot:
    """Who holds what, at one moment."""

    holders: dict[int, list[Process]] = field(default_factory=lambda: defaultdict(list))
    unidentified: list[Process] = field(default_factory=list)  # of a device, we cannot say which
    hidden: set[int] = field(default_factory=set)  # the users whose processes we could not read
    is_whole: bool = True  # there are no other processes than those in this /proc
    tells_connections: bool = False

    def sees_all_of(self, owner: int | None) -> bool:
        """
        Whether a device of this user's that nobody holds here is held by nobody at all.

        A server has the real uid of who mounted, or is root's own work and seen by root.
        """
        return self.is_whole and owner not in self.hidden and os.getuid() in (0, owner)


def take_snapshot() -> Snapshot:
    """Every process that holds a FUSE device."""
    snapshot = Snapshot(is_whole=_is_whole(), tells_connections=_release() >= _IDENTIFYING_RELEASE)
    for pid in pids():
        try:
            holder, connections = in_time(partial(_holder, pid))
            if holder is not None:
                _enter(snapshot, holder, connections)
        except (PermissionError, TimeoutError):
            uid = real_uid(pid)
            if uid is not None:
                snapshot.hidden.add(uid)
        except OSError:
            continue  # it has ended
    return snapshot


def in_time(work: Callable[[], Answer]) -> Answer:
    """What ``work`` returns or raises; TimeoutError if it is still at it after half a second."""
    answers: list[Answer] = []
    errors: list[OSError] = []

    def run() -> None:
        try:
            answers.append(work())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)  # blocked for ever, it ends with us
    thread.start()
    thread.join(_READ_SECONDS)
    if answers:
        return answers[0]
    raise errors[0] if errors else TimeoutError


def _holder(pid: int) -> tuple[Process | None, set[int | None]]:
    connections = _devices_of(pid)
    return read(pid) if connections else None, connections


def _enter(snapshot: Snapshot, process: Process, connections: set[int | None]) -> None:
    for connection in connections:
        if connection is None:
            snapshot.unidentified.append(process)
        else:
            snapshot.tells_connections = True
            snapshot.holders[connection].append(process)


def _is_whole() -> bool:
    """Whether this /proc is of the first pid namespace and hides nobody (hidepid)."""
    try:
        first = os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return False
    return first and os.path.exists("/proc/1/status")


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def pids() -> Iterator[int]:
    """Every process of this /proc."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield int(name)


def open_files(pid: int) -> Iterator[tuple[str, str]]:
    """
    Folder of /proc and name for each open file of a process. OSError if we may not look.

    Where the first thread has ended the process shows none; another thread then has them.
    """
    folder = f"/proc/{pid}"
    names = os.listdir(f"{folder}/fd")
    if not names:
        for thread in os.listdir(f"/proc/{pid}/task"):
            folder = f"/proc/{pid}/task/{thread}"
            names = os.listdir(f"{folder}/fd")
            if names:
                break
    for name in names:
        try:
            yield f"{folder}/fdinfo/{name}", os.readlink(f"{folder}/fd/{name}")
        except FileNotFoundError:
            continue  # closed since


def _devices_of(pid: int) -> set[int | None]:
    """The connections whose device this process holds; None stands for one we cannot name."""
    found: set[int | None] = set()
    for info, name in open_files(pid):
        if name.startswith("/") and "fuse" in name.rpartition("/")[2]:
            text = _text(info)
            # A regular file that is called so has another kind of fdinfo and other flags, but only
            # a device's says its connection; before 6.18 its folder must do.
            if "fuse_connection:" in text:
                found.add(int(text.partition("fuse_connection:")[2].split()[0]))
            elif name.startswith("/dev/"):
                found.add(None)
    return found


def read(pid: int) -> Process:
    """A process by its number; OSError if there is none."""
    command, fields = _stat(pid)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    uid = real_uid(pid)
    if uid is None:
        raise ProcessLookupError(pid)
    return Process(pid, uid, command, fields[0], max(0.0, now - int(fields[19]) / _TICKS))


def real_uid(pid: int) -> int | None:
    """The real user id; None if the process is gone."""
    try:
        status = in_time(lambda: _text(f"/proc/{pid}/status"))
        return int(status.partition("\nUid:")[2].split(None, 1)[0])
    except (OSError, IndexError):
        return None


def thread_count(pid: int) -> int:
    """OSError if there is no such process."""
    return int(_stat(pid)[1][17])


def work_done(pid: int) -> tuple[int, ...]:
    """What grows while a process works: processor time, reads and writes. OSError: gone, hidden."""

    def work() -> tuple[int, ...]:
        _, fields = _stat(pid)
        return int(fields[11]) + int(fields[12]), *_system_calls(pid)

    return in_time(work)


def has_written(pid: int) -> bool:
    """Whether it has ever written anything, such as an answer to FUSE_INIT."""
    return in_time(lambda: _system_calls(pid))[1] > 0


def _system_calls(pid: int) -> tuple[int, int]:
    lines = dict(line.split(": ") for line in _text(f"/proc/{pid}/io").splitlines())
    return int(lines["syscr"]), int(lines["syscw"])


def command_line(pid: int) -> list[bytes]:
    """Its arguments; empty if they cannot be had, or not at once."""
    return _words(f"/proc/{pid}/cmdline")


def environment(pid: int) -> dict[bytes, bytes]:
    """The environment it was started with; empty if it cannot be had, or not at once."""
    pairs = (word.partition(b"=") for word in _words(f"/proc/{pid}/environ"))
    return {name: value for name, _, value in pairs}


def _words(path: str) -> list[bytes]:
    def work() -> list[bytes]:
        with open(path, "rb") as file:
            return file.read().removesuffix(b"\0").split(b"\0")

    try:
        return in_time(work)
    except OSError:
        return []


def _stat(pid: int) -> tuple[str, list[str]]:
    """Command and the fields behind it of /proc/PID/stat; the command may hold anything."""
    before, _, after = _text(f"/proc/{pid}/stat").rpartition(") ")
    return before.partition(" (")[2], after.split()


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
