"""
Processes, as /proc shows them.

``readlink`` on /proc/PID/fd/N and a read of /proc/PID/fdinfo/N ask the kernel alone; a ``stat``
through them would ask the file system. A process is called by its ``comm``, which takes no lock of
the process; whoever reads anything else here goes through `patience.in_time`.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fusermount_py.admin.patience import in_time

_TICKS = os.sysconf("SC_CLK_TCK")


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
        status = in_time(lambda: text_of(f"/proc/{pid}/status"))
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
    lines = dict(line.split(": ") for line in text_of(f"/proc/{pid}/io").splitlines())
    return int(lines["syscr"]), int(lines["syscw"])


def working_directory(pid: int) -> str | None:
    """None if we may not know."""
    try:
        return in_time(lambda: os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


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
    before, _, after = text_of(f"/proc/{pid}/stat").rpartition(") ")
    return before.partition(" (")[2], after.split()


def text_of(path: str) -> str:
    """A whole file of /proc."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
