"""
Who keeps a mount busy, from /proc alone.

    an open file      /proc/PID/fdinfo/N says the mount it was opened through
    working, root directory and program: the text of the link says the path
    a mapped file     /proc/PID/maps says device and path
    a mount on it     the mount table says whose child it is
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from fusermount_py.admin import processes
from fusermount_py.admin.patience import in_time
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.mount_entry import MountEntry

_LINKS = (
    ("cwd", "is its working directory"),
    ("root", "is its root"),
    ("exe", "holds its program"),
)


@dataclass(frozen=True, slots=True)
class User:
    """A process, and how it uses the mount: ``has /mnt/a/file open``."""

    pid: int
    command: str
    how: str


def find(entry: MountEntry) -> list[User]:
    """Those that we may see; what the kernel itself uses, for a loop device say, is not found."""
    return list(_users(entry))


def is_used(entry: MountEntry) -> bool:
    """Whether anybody is found, or something is mounted on it."""
    return bool(mounts_on(entry, mount_table.entries())) or next(_users(entry), None) is not None


def _users(entry: MountEntry) -> Iterator[User]:
    for pid in processes.pids():
        try:
            user = in_time(partial(_user, pid, entry))
        except OSError:
            continue  # it has ended, or does not let itself be looked at
        if user is not None:
            yield user


def _user(pid: int, entry: MountEntry) -> User | None:
    how = _use(pid, entry)
    return User(pid, processes.read(pid).command, how) if how else None


def mounts_on(entry: MountEntry, table: list[MountEntry]) -> list[str]:
    """The mountpoints of what is mounted below it."""
    return [other.mountpoint for other in table if other.parent == entry.id]


def _use(pid: int, entry: MountEntry) -> str:
    for name, how in _LINKS:
        try:
            target = os.readlink(f"/proc/{pid}/{name}")
        except OSError:
            continue
        if _lies_in(target, entry.mountpoint):
            return f"{target} {how}"
    try:
        for info, target in processes.open_files(pid):
            if _lies_in(target, entry.mountpoint) and _mount_id(info) == entry.id:
                return f"has {target} open"
        if _is_mapped(pid, entry):
            return "has a file of it mapped"
    except OSError:
        pass  # not ours to see
    return ""


def _is_mapped(pid: int, entry: MountEntry) -> bool:
    """Lines of proc_pid_maps(5): addresses, permissions, offset, device, inode, path."""
    major, _, minor = entry.device.partition(":")
    device = f" {int(major):02x}:{int(minor):02x} "
    text = processes.text_of(f"/proc/{pid}/maps")
    return device in text and any(
        device in line and _lies_in("/" + line.partition("/")[2], entry.mountpoint)
        for line in text.splitlines()
    )


def _lies_in(path: str, mountpoint: str) -> bool:
    path = path.removesuffix(" (deleted)")
    return path == mountpoint or path.startswith(mountpoint.rstrip("/") + "/")


def _mount_id(info: str) -> int:
    with open(info, encoding="ascii", errors="replace") as file:
        return int(file.read().partition("mnt_id:")[2].split(None, 1)[0])
