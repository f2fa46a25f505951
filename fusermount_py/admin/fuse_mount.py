"""
One FUSE mount with all that can be known of it without asking its server.

    MountEntry + connection + who holds its device -> FuseMount, with its state
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from fusermount_py.admin import aside, connections, device_holders, guards, processes
from fusermount_py.admin.device_holders import Snapshot
from fusermount_py.admin.processes import Process
from fusermount_py.admin.states import ALIVE, DEAD, HUNG, STARTING, UNKNOWN
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.mount_entry import MountEntry

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class FuseMount:
    """
    ``candidates``: all holders of any device, where the kernel does not say of which.
    ``is_covered``: another mount lies on top, so that its path leads to that one.
    """

    entry: MountEntry
    connection: int
    holders: tuple[Process, ...]
    candidates: tuple[Process, ...]
    waiting: int | None
    state: str
    is_covered: bool

    @property
    def mountpoint(self) -> str:
        return self.entry.mountpoint

    @property
    def owner(self) -> int | None:
        """Who mounted it; fuseblk and a few others do not say."""
        return self.entry.owner

    @property
    def servers(self) -> tuple[Process, ...]:
        """Those with whose end the mount may die."""
        return self.holders or self.candidates

    def as_json(self) -> dict[str, object]:
        return {
            "mountpoint": self.mountpoint,
            "type": self.entry.fstype,
            "source": self.entry.source,
            "owner": self.owner,
            "connection": self.connection,
            "mount_id": self.entry.id,
            "servers": [{"pid": each.pid, "command": each.command} for each in self.holders],
            "waiting": self.waiting,
            "state": self.state,
            "covered": self.is_covered,
        }


def fuse_entries(entries: list[MountEntry]) -> list[MountEntry]:
    """Those of a FUSE type; fusectl is none."""
    return [entry for entry in entries if entry.is_fuse]


def is_covered(entry: MountEntry) -> bool:
    """Whether another mount lies on top of it by now."""
    return any(
        (other.parent, other.mountpoint) == (entry.id, entry.mountpoint)
        for other in mount_table.entries()
    )


def read_all(
    chosen: Callable[[MountEntry], bool] = lambda _: True, *, ask: bool = False
) -> list[FuseMount]:
    """
    Every FUSE mount of this namespace that is ``chosen``, in the kernel's order.

    With ``ask``, a mount of ours whose state could not be known is asked itself, aside.
    """
    table = mount_table.entries()
    covered = {(entry.parent, entry.mountpoint) for entry in table}
    entries = [entry for entry in fuse_entries(table) if chosen(entry)]
    if not entries:
        return []
    snapshot = device_holders.take_snapshot()
    numbers = {entry.id: connections.number_of(entry.device) for entry in entries}
    waiting = {number: connections.waiting(number) for number in set(numbers.values())}
    if snapshot.unidentified and not snapshot.tells_connections:
        for entry, pid in guards.servers(entries):
            snapshot.identify(numbers[entry.id], pid)
    states = _States(snapshot, waiting, ask=ask)
    states.sample()
    return [
        FuseMount(
            entry,
            number,
            tuple(snapshot.holders.get(number, ())),
            () if snapshot.tells_connections else tuple(snapshot.unidentified),
            waiting[number],
            states.of(entry, number),
            (entry.id, entry.mountpoint) in covered,
        )
        for entry in entries
        for number in (numbers[entry.id],)
    ]


class _States:
    """Judges every connection; half a second at most, spent only if requests wait somewhere."""

    def __init__(self, snapshot: Snapshot, waiting: dict[int, int | None], *, ask: bool) -> None:
        self._snapshot = snapshot
        self._waiting = waiting
        self._ask = ask
        self._idle: set[int] = set()
        self._silent: set[int] = set()

    def sample(self) -> None:
        """See which holders do nothing although something waits for them."""
        asked = {
            number: {process.pid for process in self._snapshot.holders[number]}
            for number, requests in self._waiting.items()
            if requests and number in self._snapshot.holders
        }
        if not asked:
            return
        # Once for each process: one server may hold a thousand connections.
        before = {pid: _work_done(pid) for pid in set().union(*asked.values())}
        time.sleep(_SAMPLE_SECONDS)
        idle = {pid for pid, work in before.items() if work and work == _work_done(pid)}
        self._silent = {pid for pid in idle if not _has_written(pid)}
        self._idle = {
            number for number, pids in asked.items() if pids <= idle and connections.waiting(number)
        }

    def of(self, entry: MountEntry, number: int) -> str:
        state = self._seen(entry, number)
        if state == UNKNOWN and self._ask and os.getuid() in (0, entry.owner):
            answer = aside.ask(entry)
            return UNKNOWN if answer == aside.NOT_ON_TOP else answer
        return state

    def _seen(self, entry: MountEntry, number: int) -> str:
        holders = self._snapshot.holders.get(number)
        waiting = self._waiting[number]
        if not holders:
            return self._without_holder(entry, waiting)
        if all(process.is_stopped for process in holders):
            return HUNG
        if waiting is None:
            return UNKNOWN
        if number not in self._idle:
            return ALIVE
        return STARTING if all(process.pid in self._silent for process in holders) else HUNG

    def _without_holder(self, entry: MountEntry, waiting: int | None) -> str:
        snapshot = self._snapshot
        if snapshot.unidentified and not snapshot.tells_connections:
            return UNKNOWN
        if not snapshot.sees_all_of(entry.owner):
            return UNKNOWN
        # What waits is FUSE_INIT: a dead connection has no requests, they have all failed.
        return STARTING if waiting else DEAD


def _work_done(pid: int) -> tuple[int, ...] | None:
    try:
        return processes.work_done(pid)
    except OSError:
        return None


def _has_written(pid: int) -> bool:
    try:
        return processes.has_written(pid)
    except OSError:
        return True
