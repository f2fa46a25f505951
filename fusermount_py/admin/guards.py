"""
Guards (auto_unmount): each waits for a server's end, and so knows it when the kernel does not say.

    a guard's command line -> mountpoint, comm socket -> its peer (sock_diag) -> the server

Ours is a program of its own (packaging/launcher/guard.c), the C program's is the helper itself,
which waits on once it has mounted.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from fusermount_py.admin import helper_processes, processes, sockets
from fusermount_py.admin.patience import in_time
from fusermount_py.admin.processes import Process
from fusermount_py.helper.mount_entry import MountEntry
from fusermount_py.helper.request import MountRequest

_PROGRAM = "guard"
_DIGITS = 9  # anybody may call a program guard, and give it words
_WORDS = 6  # guard HELPER ARGV0 COMMFD MOUNT_ID MOUNTPOINT


@dataclass(frozen=True, slots=True)
class Guard:
    """A process that waits for its comm socket to close, and has no other; ``comm_fd`` as given."""

    process: Process
    mountpoint: str
    comm_fd: int | None


def read_all(entries: list[MountEntry]) -> Iterator[Guard]:
    """Every guard that waits, of mounts that are among the entries or not."""
    for pid in processes.pids():
        try:
            guard = _of_ours(in_time(partial(processes.read, pid)))
        except OSError:
            continue  # it has ended
        if guard is not None:
            yield guard
    for process, request in helper_processes.read_all():
        guard = of_theirs(process, request, entries)
        if guard is not None:
            yield guard


def _of_ours(process: Process) -> Guard | None:
    if process.command != _PROGRAM:
        return None
    words = [os.fsdecode(word) for word in processes.command_line(process.pid)]
    if len(words) != _WORDS or not words[3].isdecimal() or len(words[3]) > _DIGITS:
        return None
    return Guard(process, words[5], int(words[3]))


def of_theirs(process: Process, request: MountRequest, entries: list[MountEntry]) -> Guard | None:
    """A helper of the C program's that has mounted and waits on; None if it still mounts."""
    if "auto_unmount" not in request.options.split(","):
        return None
    guard = Guard(process, helper_processes.mountpoint(process, request), request.comm_fd)
    return guard if any(_fits(guard, entry) for entry in entries) else None


def servers(entries: list[MountEntry]) -> Iterator[tuple[MountEntry, int]]:
    """Each mount that has a guard, with each process at the other end of its comm socket."""
    guards = list(read_all(entries))
    if not guards:
        return
    peers, holders = sockets.peers(), sockets.holders()
    for guard in guards:
        fitting = [entry for entry in entries if _fits(guard, entry)]
        if len(fitting) != 1:
            continue  # one on the other: which is whose, the path does not say
        try:
            pids = sockets.others(guard.process.pid, guard.comm_fd, peers, holders)
        except OSError:
            continue  # not ours to see, or its work is done
        for pid in pids:
            yield fitting[0], pid


def _fits(guard: Guard, entry: MountEntry) -> bool:
    """Anybody may run a program of a guard's name: only the owner's is believed, and root's."""
    return entry.mountpoint == guard.mountpoint and guard.process.uid in (0, entry.owner)
