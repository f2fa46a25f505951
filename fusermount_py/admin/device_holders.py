"""
Who holds which FUSE device: the servers.

    every process -> the names of its open files -> those of devices -> their connections
"""

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from fusermount_py.admin import processes
from fusermount_py.admin.patience import in_time
from fusermount_py.admin.processes import Process

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # include/linux/proc_ns.h: PROC_PID_INIT_INO
_CONNECTION = re.compile(r"^fuse_connection:\s*(\d{1,9})$", re.MULTILINE | re.ASCII)
_IDENTIFYING_RELEASE = (6, 18)  # from here on fdinfo names the connection of a device


@dataclass(slots=True)
class Snapshot:
    """Who holds what, at one moment."""

    holders: dict[int, list[Process]] = field(default_factory=lambda: defaultdict(list))
    unidentified: list[Process] = field(default_factory=list)  # of a device, we cannot say which
    hidden: set[int] = field(default_factory=set)  # the users whose processes we could not read
    is_whole: bool = True  # there are no other processes than those in this /proc
    tells_connections: bool = False

    def identify(self, connection: int, pid: int) -> None:
        """This process serves that connection, if it holds a device at all."""
        self.holders[connection] += [each for each in self.unidentified if each.pid == pid]

    def sees_all_of(self, owner: int | None) -> bool:
        """
        Whether a device of this user's that nobody holds here is held by nobody at all.

        A server has the real uid of who mounted, or is root's own work and seen by root.
        """
        return self.is_whole and owner not in self.hidden and os.getuid() in (0, owner)


def take_snapshot() -> Snapshot:
    """Every process that holds a FUSE device."""
    snapshot = Snapshot(is_whole=_is_whole(), tells_connections=_release() >= _IDENTIFYING_RELEASE)
    for pid in processes.pids():
        try:
            holder, connections = in_time(partial(_holder, pid))
            if holder is not None:
                _enter(snapshot, holder, connections)
        except (PermissionError, TimeoutError):
            uid = processes.real_uid(pid)
            if uid is not None:
                snapshot.hidden.add(uid)
        except OSError:
            continue  # it has ended
    return snapshot


def _holder(pid: int) -> tuple[Process | None, set[int | None]]:
    connections = _devices_of(pid)
    return processes.read(pid) if connections else None, connections


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


def _devices_of(pid: int) -> set[int | None]:
    """The connections whose device this process holds; None stands for one we cannot name."""
    found: set[int | None] = set()
    for info, name in processes.open_files(pid):
        if name.startswith("/") and "fuse" in name.rpartition("/")[2]:
            text = processes.text_of(info)
            # A regular file that is called so has another kind of fdinfo and other flags, but only
            # a device's says its connection; before 6.18 its folder must do.
            if connection := _CONNECTION.search(text):
                found.add(int(connection[1]))
            elif name.startswith("/dev/"):
                found.add(None)
    return found
