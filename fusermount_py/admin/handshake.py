"""
Mounts that are being made, by our helper and by the C program.

    a helper that runs (helper_processes.py) -> what it waits for, and who is at the other end

A helper belongs to its caller and hides from the caller: who is not root sees what the command line
says, and the rest is unknown.
"""

import os
from dataclasses import dataclass

from fusermount_py.admin import guards, helper_processes, processes, sockets
from fusermount_py.admin.processes import Process
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.request import MountRequest

MOUNTING, PROCEED, INIT, UNKNOWN = "mounting", "proceed", "FUSE_INIT", "unknown"


@dataclass(frozen=True, slots=True)
class Handshake:
    """One helper, what it was asked for, what it waits for, and who is at the other end."""

    helper: Process
    mountpoint: str
    options: str
    waits_for: str
    clients: tuple[Process, ...] | None

    def as_json(self) -> dict[str, object]:
        clients = self.clients
        return {
            "helper": self.helper.pid,
            "command": self.helper.command,
            "caller": self.helper.uid,
            "mountpoint": self.mountpoint,
            "options": self.options,
            "waits_for": self.waits_for,
            "seconds": round(self.helper.age, 1),
            "clients": None
            if clients is None
            else [{"pid": client.pid, "command": client.command} for client in clients],
        }


def read_all() -> list[Handshake]:
    """Every helper that mounts now."""
    found = list(helper_processes.read_all())
    if not found:
        return []
    entries = mount_table.entries()
    peers, holders = sockets.peers(), sockets.holders()
    return [
        Handshake(
            process,
            helper_processes.mountpoint(process, request),
            request.options,
            _waits_for(process.pid, request),
            _clients(process.pid, request, peers, holders),
        )
        for process, request in found
        if guards.of_theirs(process, request, entries) is None
    ]


def _waits_for(pid: int, request: MountRequest) -> str:
    """Proceed, or the answer to FUSE_INIT: the kernel's name for where its threads sleep."""
    if not request.sync_init:
        return MOUNTING
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        places = [_place(pid, thread) for thread in threads]
    except OSError:
        return UNKNOWN
    # Ours creates the mount in a second thread, the C program in its only one.
    if len(threads) > 1 or any("fuse" in place or "request_wait" in place for place in places):
        return INIT
    return PROCEED


def _place(pid: int, thread: str) -> str:
    with open(f"/proc/{pid}/task/{thread}/wchan", encoding="ascii", errors="replace") as file:
        return file.read()


def _clients(
    pid: int, request: MountRequest, peers: dict[int, int], holders: dict[int, list[int]]
) -> tuple[Process, ...] | None:
    if not peers:
        return None
    try:
        pids = sockets.others(pid, request.comm_fd, peers, holders)
        return tuple(processes.read(client) for client in sorted(pids))
    except OSError:
        return None
