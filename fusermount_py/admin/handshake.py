"""
Helpers at work: mounts that are being made, ours and the C program's.

    the process's command line -> MountRequest, by the helper's own parser
    its comm socket -> the peer, by sock_diag -> the client

A helper belongs to its caller and hides from the caller: who is not root sees what the command line
says, and the rest is unknown.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from fusermount_py.admin import processes, sockets
from fusermount_py.admin.patience import in_time
from fusermount_py.admin.processes import Process
from fusermount_py.helper.errors import UsageError
from fusermount_py.helper.request import MountRequest, parse

MOUNTING, PROCEED, INIT, UNKNOWN = "mounting", "proceed", "FUSE_INIT", "unknown"
_NAMES = ("fusermount3", "fusermount")
_ENTRY = "/entry.py"  # packaging/launcher
_MAIN = "fusermount_py.helper.main"


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
    found = list(_helpers())
    if not found:
        return []
    peers, holders = sockets.peers(), sockets.holders()
    return [
        Handshake(
            process,
            _absolute(process.pid, request.mountpoint),
            request.options,
            _waits_for(process.pid, request),
            _clients(process.pid, request, peers, holders),
        )
        for process, request in found
    ]


def _helpers() -> Iterator[tuple[Process, MountRequest]]:
    for pid in processes.pids():
        try:
            process = in_time(partial(processes.read, pid))
            if process.command in _NAMES or process.command.startswith("python"):
                request = _request(processes.command_line(pid), processes.environment(pid))
                if isinstance(request, MountRequest):
                    yield process, request
        except (OSError, UsageError):
            continue  # it has ended, or will in a moment


def _request(words: list[bytes], environment: dict[bytes, bytes]) -> object:
    """What a helper was asked; None for every other program."""
    arguments = _arguments([os.fsdecode(word) for word in words])
    if not arguments:
        return None
    variables = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
    return parse(arguments[1:], variables)


def _arguments(words: list[str]) -> list[str]:
    """The command line as the caller gave it to a helper; empty for every other program."""
    if words and os.path.basename(words[0]) in _NAMES:
        return words
    flags = list(itertools.takewhile(lambda word: word[:1] == "-" and word != "-c", words[1:]))
    program, *rest = words[1 + len(flags) :] or [""]
    if program == "-c" and rest and _MAIN in rest[0]:  # the client's own helper
        return rest[1:]
    return rest if program.endswith(_ENTRY) and "-I" in flags else []


def _absolute(pid: int, mountpoint: str) -> str:
    """The path as given, below the helper's working directory if we may know that."""
    folder = sockets.path_of(pid, "cwd")
    return mountpoint if folder is None else os.path.normpath(os.path.join(folder, mountpoint))


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
    try:
        inodes = sockets.inodes_of(pid)
        ends = [inodes[request.comm_fd]] if request.comm_fd in inodes else list(inodes.values())
        pids = {client for end in ends for client in holders.get(peers.get(end, 0), ())} - {pid}
        return tuple(processes.read(client) for client in sorted(pids))
    except OSError:
        return None
