"""The mount table as the kernel tells it: /proc/self/mountinfo, names as bytes."""

import os
import re
from typing import NamedTuple

from support.users import PathLike


class MountEntry(NamedTuple):
    """One line of the table."""

    mount_id: int
    parent_id: int
    device: str  # "0:57"; for FUSE, 57 is also the connection's number in fusectl
    root: bytes
    mountpoint: bytes
    attributes: frozenset[str]  # of the mount: nosuid, nodev, ro, ...
    fstype: str
    source: bytes
    options: frozenset[str]  # of the superblock: user_id=..., allow_other, ...


def _unescaped(name: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), name)


def _entry(line: bytes) -> MountEntry:
    ahead, _, behind = line.partition(b" - ")
    mount_id, parent_id, device, root, mountpoint, attributes = ahead.split(b" ")[:6]
    fstype, source, options = behind.split(b" ", 2)
    return MountEntry(
        int(mount_id),
        int(parent_id),
        device.decode(),
        _unescaped(root),
        _unescaped(mountpoint),
        frozenset(attributes.decode().split(",")),
        os.fsdecode(fstype),
        _unescaped(source),
        frozenset(os.fsdecode(options).split(",")),
    )


def mounts() -> list[MountEntry]:
    """Every mount of this mount namespace, in the kernel's order."""
    with open("/proc/self/mountinfo", "rb") as table:
        return [_entry(line) for line in table.read().split(b"\n") if line]


def mounts_at(path: PathLike) -> list[MountEntry]:
    """The mounts stacked at `path`, the lowest first."""
    return [entry for entry in mounts() if entry.mountpoint == os.fsencode(path)]


def mount_at(path: PathLike) -> MountEntry:
    """The only mount at `path`."""
    (entry,) = mounts_at(path)
    return entry


def mounts_below(path: PathLike) -> list[MountEntry]:
    """The mounts inside `path`, not the one at it."""
    return [entry for entry in mounts() if entry.mountpoint.startswith(os.fsencode(path) + b"/")]


def fuse_mounts() -> int:
    """As mount_max counts them; the machine may have some that are none of the test's."""
    return sum(entry.fstype.partition(".")[0] == "fuse" for entry in mounts())
