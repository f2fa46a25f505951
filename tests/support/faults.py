"""
A fault at one system call of a helper's life: strace counts the calls, and injects.

    flow runs once under strace          -> points: (call, how manieth of that name)
    flow runs again for each of them     -> an error, SIGKILL, or SIGSTOP and SIGCONT just there

Of the interpreter's own start, the same in every program of Python, each 40th call is taken, and
stops, which ask the least, come at each third; with FAULTS=all in the environment, at every one.
"""

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from support import machine
from support.program import Program, Running
from support.users import ROOT, PathLike, User

KINDS = {"error": "error=EIO", "killed": "signal=KILL", "stopped": "signal=STOP"}
START_SAMPLE, STOP_SAMPLE = (1, 1) if os.environ.get("FAULTS") == "all" else (40, 3)
FIRST_OF_OURS = "fusermount3.seats"  # the file that main() opens first of all
NOT_OURS = {"execve", "exit", "exit_group"}  # strace's own start; and ends, which cannot fail
injected: Counter[str] = Counter()


class Point(NamedTuple):
    """The `number`-th `call` of a process (each thread counts for itself)."""

    call: str
    number: int


_NAMELESS = "syscall_0x"  # of calls newer than this strace, which can do nothing with them


class Traced:
    """Starts helpers under strace, as `user`, with one fault or none."""

    def __init__(self, helper: Program, user: User) -> None:
        self.strace = Program("/usr/bin/strace")
        self.helper = helper
        self.user = user
        self.log = machine.SCRATCH / "trace"
        self._fault: tuple[str, Point] | None = None

    def start(self, *words: PathLike, environment: dict[str, str] | None = None) -> Running:
        """The helper, with the fault that is on at the moment."""
        tracing: tuple[PathLike, ...] = (
            "-f",
            "-qq",
            "-u",
            f"test{self.user.uid}",
            "-o",
            self.log,
            *self._inject(),
        )
        command = (*tracing, self.helper.path, *words)
        return self.strace.start(*command, user=ROOT, argv0="strace", environment=environment)

    def attach(self, pid: int) -> Running:
        """Trace a running helper from here on; returns when that has begun."""
        running = self.strace.start(
            "-f", "-o", self.log, "-p", str(pid), *self._inject(),
            user=ROOT, argv0="strace", comm=None,
        )  # fmt: skip
        assert running.process.stderr is not None
        said = running.process.stderr.readline()
        assert b"attached" in said, said
        return running

    def _inject(self) -> tuple[str, ...]:
        if self._fault is None:
            return ()
        kind, (call, number) = self._fault
        return (f"--inject={call}:{KINDS[kind]}:when={number}",)

    @contextmanager
    def fault(self, kind: str, point: Point) -> Iterator[None]:
        """Until the block is left, what is started meets this fault."""
        self._fault = (kind, point)
        injected[kind] += 1
        self.log.unlink(missing_ok=True)
        over = threading.Event()
        waker = threading.Thread(target=self._wake, args=(over,))
        if kind == "stopped":
            waker.start()
        try:
            yield
        finally:
            over.set()
            if kind == "stopped":
                waker.join()
            self._fault = None
            for running in self.strace._started:  # noqa: SLF001  # hundreds of them per test
                running.clean_up()
            self.strace._started.clear()  # noqa: SLF001  # as above

    def _wake(self, over: threading.Event) -> None:
        """SIGCONT for whom strace sees stopped, again and again: it may come before the stop."""
        while not over.is_set():
            log = self.log.read_bytes() if self.log.exists() else b""
            for process in set(re.findall(rb"(\d+) +--- stopped by SIGSTOP", log)):
                try:
                    os.kill(int(process), signal.SIGCONT)
                except ProcessLookupError:
                    pass  # another of its threads was woken first, and it has ended
            time.sleep(0.005)

    def points(self, *, everything: bool = False, after: str = "") -> list[Point]:
        """The calls of the last run that are worth a fault, in their order, from ``after`` on."""
        numbers: Counter[tuple[str, str]] = Counter()
        found: dict[Point, None] = {}
        starting, ours, begun = 0, everything, False
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match is None or match[2].startswith(_NAMELESS):
                continue
            process, call, words = match.groups()
            numbers[process, call] += 1
            ours = (ours or FIRST_OF_OURS in words) and not (call == "execve" and not everything)
            starting += not ours
            begun = begun or after in words
            if begun and call not in NOT_OURS and (ours or starting % START_SAMPLE == 0):
                found[Point(call, numbers[process, call])] = None
        return list(found)
