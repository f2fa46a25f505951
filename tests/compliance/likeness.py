"""
What a run of fusermount3 leaves for others to see: compare this of theirs with that of ours.

    Outcome(exit status, stdout, stderr, bytes on the comm socket, the mount while its client lives,
            what has changed in the mount table in the end)
"""

import contextlib
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support import kernel
from support.flows import until
from support.leaks import take_mounts_below_scratch
from support.mount_table import MountEntry, mounts
from support.program import END_OF_FILE, Program, Running
from support.users import PathLike, User


class Mount(NamedTuple):
    """A mount entry without what the kernel numbers anew each time."""

    mountpoint: bytes
    attributes: frozenset[str]
    fstype: str
    source: bytes
    options: frozenset[str]


class Outcome(NamedTuple):
    """`sent`: payload and number of descriptors of each message; `mounted`: when the first came."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    sent: tuple[tuple[bytes, int], ...] = ()
    mounted: tuple[Mount, ...] = ()
    left: tuple[Mount, ...] = ()
    gone: tuple[Mount, ...] = ()


def outcome(program: Program, *arguments: PathLike, user: User, **how: Any) -> Outcome:
    """Run it as a client that lets the device go, then its end of the comm socket."""
    before = mounts()
    running = Program(program.path).start(*arguments, user=user, **how)
    try:
        has_comm = how.get("comm", socket.SOCK_STREAM) is not None
        sent, mounted = _first_message(running, before) if has_comm else ((), ())
        result = running.wait()
        now = mounts()
        return Outcome(*result[:3], sent, mounted, _new(now, before), _new(before, now))
    finally:
        running.clean_up()


def mount_outcome(program: Program, *arguments: PathLike, user: User, **how: Any) -> Outcome:
    """`outcome`, and whatever it mounted is taken away again."""
    try:
        return outcome(program, *arguments, user=user, **how)
    finally:
        take_mounts_below_scratch()


def _first_message(
    running: Running, before: list[MountEntry]
) -> tuple[tuple[tuple[bytes, int], ...], tuple[Mount, ...]]:
    message = running.receive()
    if message == END_OF_FILE:
        return (), ()
    mounted = _new(mounts(), before)
    for device in message.descriptors:
        device.close()
    # Their guard waits for this; ours for a client that is gone, and then has nothing more to send.
    running.comm.shutdown(socket.SHUT_WR)
    until(lambda: _has_ended_or_guards(running), "it is done")
    running.comm.shutdown(socket.SHUT_RDWR)
    sent = [(message.payload, len(message.descriptors))]
    while (message := running.receive()) != END_OF_FILE:
        sent.append((message.payload, len(message.descriptors)))
    return tuple(sent), mounted


def _has_ended_or_guards(running: Running) -> bool:
    return (
        running.process.poll() is not None
        or Path(f"/proc/{running.process.pid}/comm").read_text(encoding="ascii") == "guard\n"
    )


def _new(entries: list[MountEntry], known: list[MountEntry]) -> tuple[Mount, ...]:
    ids = {entry.mount_id for entry in known}
    return tuple(
        Mount(entry.mountpoint, entry.attributes, entry.fstype, entry.source, entry.options)
        for entry in entries
        if entry.mount_id not in ids
    )


@contextlib.contextmanager
def mounted_by_hand(*places: PathLike, user: User, kind: int = stat.S_IFDIR) -> Iterator[None]:
    """Dead FUSE mounts of this user's, made by neither program; what is left of them is taken."""
    for place in places:
        with open("/dev/fuse", "rb+", buffering=0) as device:
            numbers = f"rootmode={kind:o},user_id={user.uid},group_id={user.gid}"
            options = f"fd={device.fileno()},{numbers}"
            kernel.mount("by-hand", place, "fuse", options=options)
    try:
        yield
    finally:
        take_mounts_below_scratch()
