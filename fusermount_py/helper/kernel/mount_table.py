"""
Kernel floor: the mount table of this namespace, read without touching any file system in it.

Which mount a file belongs to, and whether it is one of this namespace: mount_identity.py.
"""

import posix

from fusermount_py.helper.mount_entry import MountEntry, parse

_CHUNK = 1 << 16


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


def lines() -> list[bytes]:
    """Every mount of this namespace, as mountinfo has it, in the kernel's order."""
    # Not splitlines: a carriage return in a name ends no line.
    return read("/proc/self/mountinfo").split(b"\n")[:-1]


def entries() -> list[MountEntry]:
    """Every mount of this namespace, in the kernel's order."""
    return [parse(line) for line in lines()]


def has_mounts_on(number: int) -> bool:
    """Whether anything is mounted on, or inside, the mount with this mountinfo id."""
    return any(line.split(b" ", 2)[1] == b"%d" % number for line in lines())


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


def count_fuse() -> int:
    """How many mounts of type ``fuse`` or ``fuse.*`` this namespace has."""
    # This table has the fewest words on each mount, and the kernel writes them anew for us. In it,
    # "source /mountpoint type options 0 0", spaces within a column are escaped, and options begin
    # with rw or ro: only a type can stand behind a space like this.
    behind = read("/proc/self/mounts").split(b" fuse")[1:]
    return sum(rest.startswith((b" ", b".")) for rest in behind)
