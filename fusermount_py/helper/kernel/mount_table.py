"""
Kernel floor: the mount table of this namespace, read without touching any file system in it.

    an open file -> its mount's unique id (statx) -> that mount alone (statmount) -> Mount
    an open file -> its mount's id (fdinfo) -> the line with that id (mountinfo) -> MountEntry

The first way costs the same however many mounts there are; it needs Linux 6.11.
"""

import posix

from fusermount_py.helper.kernel import syscalls
from fusermount_py.helper.kernel.constants import (
    AT_EMPTY_PATH,
    AT_STATX_DONT_SYNC,
    STATX_MNT_ID_UNIQUE,
)
from fusermount_py.helper.mount_entry import (
    STATMOUNT_MASK,
    Mount,
    MountEntry,
    parse,
    parse_statmount,
)

_CHUNK = 1 << 16
_FIRST_UNIQUE_ID = 1 << 31  # fs/namespace.c: told apart from mountinfo ids by its size


def read(path: str) -> bytes:
    """A whole file of /proc."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        chunks = []
        while chunk := posix.read(descriptor, _CHUNK):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        posix.close(descriptor)


def entries() -> list[MountEntry]:
    """Every mount of this namespace, in the kernel's order."""
    return [parse(line) for line in read("/proc/self/mountinfo").splitlines()]


def mount_of(descriptor: int) -> Mount | None:
    """The mount that an open file was opened through, O_PATH included; None if it is detached."""
    try:
        unique = _unique_id(descriptor)
        if unique is not None:
            return parse_statmount(syscalls.statmount(unique, STATMOUNT_MASK))
    except (OSError, ValueError):
        pass  # an older kernel, an answer too long, or no mount of this namespace
    return entry_of(descriptor)


def entry_of(descriptor: int) -> MountEntry | None:
    """As mount_of(), by its line in mountinfo, which tells more and is among all the others."""
    return entry_with_id(mount_id(descriptor))


def entry_with_id(number: int) -> MountEntry | None:
    """The line with this mountinfo id; None if this namespace has no such mount."""
    wanted = b"\n%d " % number
    table = b"\n" + read("/proc/self/mountinfo")
    start = table.find(wanted) + 1
    return parse(table[start : table.index(b"\n", start)]) if start else None


def mount_id(descriptor: int) -> int:
    """The id that mountinfo shows. fdinfo asks no file system, so a hung one cannot stop us."""
    info = read(f"/proc/self/fdinfo/{descriptor}")
    return int(info.partition(b"mnt_id:")[2].split(None, 1)[0])


def identity(descriptor: int) -> int:
    """
    The mount's unique id, which is never given out twice; where there is none, its mountinfo id.

    There is none before Linux 6.8, nor for a FUSE mount that does not answer this caller.
    """
    unique = _unique_id(descriptor)
    return mount_id(descriptor) if unique is None else unique


def is_identity(descriptor: int, wanted: int) -> bool:
    """Whether this is the mount that identity() gave this number for."""
    if wanted < _FIRST_UNIQUE_ID:
        return mount_id(descriptor) == wanted
    return _unique_id(descriptor) == wanted


def _unique_id(descriptor: int) -> int | None:
    try:
        return syscalls.statx_mount_id(
            descriptor, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE
        )
    except OSError:
        return None


def count_fuse() -> int:
    """How many mounts of type ``fuse`` or ``fuse.*`` this namespace has."""
    # This table has the fewest words on each mount, and the kernel writes them anew for us. In it,
    # "source /mountpoint type options 0 0", spaces within a column are escaped, and options begin
    # with rw or ro: only a type can stand behind a space like this.
    behind = read("/proc/self/mounts").split(b" fuse")[1:]
    return sum(rest.startswith((b" ", b".")) for rest in behind)
