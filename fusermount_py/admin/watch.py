"""
Waiting for what changes FUSE mounts: the mount table, and the end of servers. Nothing is polled.

The kernel wakes a poll on mountinfo when the table changes (proc(5)), and one on a pidfd when its
process has ended, with its files closed. A pidfd each, and not the proc connector: that one wakes
us for every process of the machine (with pyroute2 0.9, 0.3 ms for each that begins and ends), wants
root and the first pid namespace, can overflow, and Debian 12's pyroute2 lacks it.
"""

import errno
import os
import resource
import select
import time
from collections.abc import Iterable

import click

_SETTLE_SECONDS = 0.05  # a hundred servers that die at once are one change
_TABLE = "/proc/self/mountinfo"


class Watch:
    """
    Wakes when the mount table changes or a watched process ends.

    One descriptor for each process: this process gets as many as its limit allows.
    """

    def __init__(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._poll = select.poll()
        self._table = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._poll.register(self._table, select.POLLPRI)
        self._processes: dict[int, int] = {}

    def follow(self, pids: Iterable[int]) -> bool:
        """Watch exactly these processes; False if one has ended already, so that all is stale."""
        wanted = set(pids)
        all_there = True
        for pid in self._processes.keys() - wanted:
            self._forget(pid)
        for pid in wanted - self._processes.keys():
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                all_there = False
                continue
            except OSError as error:
                if error.errno != errno.EMFILE:
                    raise
                raise click.ClickException(
                    f"{len(wanted)} servers are more than can be watched:"
                    " raise the limit of open files (ulimit -n)"
                ) from error
            self._processes[pid] = descriptor
            self._poll.register(descriptor, select.POLLIN)
        return all_there

    def wait(self, seconds: float | None = None) -> None:
        """Return when something has changed and settled, or after ``seconds``."""
        if not self._drain(None if seconds is None else seconds * 1000):
            return
        deadline = time.monotonic() + 10 * _SETTLE_SECONDS
        while time.monotonic() < deadline and self._drain(_SETTLE_SECONDS * 1000):
            continue

    def _drain(self, milliseconds: float | None) -> bool:
        ready = {descriptor for descriptor, _ in self._poll.poll(milliseconds)}
        for pid in [pid for pid, descriptor in self._processes.items() if descriptor in ready]:
            self._forget(pid)
        return bool(ready)

    def _forget(self, pid: int) -> None:
        descriptor = self._processes.pop(pid)
        self._poll.unregister(descriptor)
        os.close(descriptor)
