"""
Unmounting, also of a mount that nobody told us of: its helper died, lied or was killed too early.

The mountpoint's topmost mount is remembered before a helper is asked. Afterwards a new one is taken
back if it is FUSE, this user's, and provably ours: by its id, by its connection's number, or
because it is dead.
"""

from __future__ import annotations

import errno
import os

from fusermount_py.client.errors import MountError, from_stderr
from fusermount_py.client.helper_process import HelperProcess
from fusermount_py.client.turns import Until, now

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusermount_py.client.turns import Flow
    from fusermount_py.helper.mount_entry import MountEntry

UNMOUNT_SECONDS = 60.0
_BUSY_PAUSES = (0.01, 0.02, 0.04, 0.08)
_DEAD = (errno.ENOTCONN, errno.ECONNABORTED)  # kernel.md: at once, and for a request in flight


class Before:
    """What was mounted at the mountpoint before the helper was asked."""

    __slots__ = ("_mount_id", "_mountpoint")

    def __init__(self, mountpoint: str) -> None:
        self._mountpoint = mountpoint
        self._mount_id = topmost_mount_id(mountpoint)

    def take_back(
        self, command: Sequence[str], mount_id: int | None, connection: int | None
    ) -> Flow[None]:
        """Unmount what was made; id and connection as far as they are known, the device closed."""
        found = topmost_mount_id(self._mountpoint)
        if found is None or found == self._mount_id:
            return
        entry = _entry(found)
        if entry is None or not entry.is_fuse or entry.owner != os.getuid():
            return
        if connection is not None:
            ours = entry.device == f"0:{connection}"
        else:
            ours = found == mount_id or _is_dead(self._mountpoint)
        if ours:
            yield from unmount_flow(command, self._mountpoint, lazy=True)


def unmount_flow(command: Sequence[str], mountpoint: str, *, lazy: bool) -> Flow[None]:
    """
    Have the helper unmount the topmost mount at a path; MountError with its sentence.

    A program that another thread is just starting holds, until its exec, every file that was open
    here: a mount can be busy for a moment although nobody uses it. So EBUSY has to last.
    """
    for pause in (*_BUSY_PAUSES, None):
        try:
            return (yield from _unmount(command, mountpoint, lazy=lazy))
        except MountError as error:
            if error.errno != errno.EBUSY or pause is None:
                raise
        yield Until((), now() + pause)


def _unmount(command: Sequence[str], mountpoint: str, *, lazy: bool) -> Flow[None]:
    arguments = ["-u", *(["-z"] if lazy else []), "--", mountpoint]
    helper = HelperProcess(command, arguments, {})
    status = yield from helper.exited(UNMOUNT_SECONDS)
    # Without a status (the author reaps every child) the sentence decides: success says nothing.
    if status or (status is None and helper.said):
        raise from_stderr(
            helper.said, step="unmount", otherwise=f"the helper ended with status {status}"
        )


def topmost_mount_id(mountpoint: str) -> int | None:
    """The mountinfo id of what is mounted there last; no file system is asked (O_PATH, fdinfo)."""
    try:
        pin = os.open(mountpoint, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        with open(f"/proc/self/fdinfo/{pin}", "rb", buffering=0) as file:
            return int(file.read(4096).partition(b"mnt_id:")[2].split(None, 1)[0])
    except (OSError, IndexError):
        return None
    finally:
        os.close(pin)


def is_mounted(mount_id: int) -> bool:
    """Whether the mount table still has this mount."""
    return _entry(mount_id) is not None


def _entry(mount_id: int) -> MountEntry | None:
    from fusermount_py.helper.kernel import mount_table  # 3 ms, for failures only

    entries = (entry for entry in mount_table.entries() if entry.id == mount_id)
    return next(entries, None)


def _is_dead(mountpoint: str) -> bool:
    try:
        os.stat(mountpoint)
    except OSError as error:
        return error.errno in _DEAD
    return False
