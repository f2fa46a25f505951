"""
Policy: one line of /proc/self/mountinfo -> MountEntry; one answer of statmount -> Mount.

    36 35 0:42 / /mnt/demo rw,nosuid,nodev shared:1 - fuse.demo demo rw,user_id=1000,group_id=1000
    id parent   root mountpoint mount options  tags -  fstype   source superblock options

Read by the helper and by the tools that are not privileged; makes no system call (proc(5)).
"""

import sys

from fusermount_py.helper.kernel.constants import (
    STATMOUNT_FS_TYPE,
    STATMOUNT_MNT_BASIC,
    STATMOUNT_MNT_OPTS,
    STATMOUNT_MNT_POINT,
)

STATMOUNT_MASK = STATMOUNT_MNT_BASIC | STATMOUNT_MNT_POINT | STATMOUNT_FS_TYPE | STATMOUNT_MNT_OPTS
# Offsets in struct statmount (linux/mount.h); the strings stand behind it.
_MNT_OPTS_AT, _MASK_AT, _FS_TYPE_AT, _MNT_ID_OLD_AT, _MNT_PARENT_ID_OLD_AT = 4, 8, 36, 56, 60
_MNT_POINT_AT, _STRINGS_AT = 108, 512


class Mount:
    """
    What is judged of a mount; undecodable bytes of names are kept (surrogateescape).

    ``id`` and ``parent`` are ids of mountinfo.
    """

    __slots__ = ("fstype", "id", "mountpoint", "options", "parent")

    def __init__(
        self,
        id: int,  # noqa: A002  # the kernel's word
        parent: int,
        mountpoint: str,
        fstype: str,
        options: str,
    ) -> None:
        self.id = id
        self.parent = parent
        self.mountpoint = mountpoint
        self.fstype = fstype
        self.options = options

    @property
    def is_fuse(self) -> bool:
        """``fuse``, ``fuseblk``, or either with a subtype; what unmounting asks."""
        return self.fstype.partition(".")[0] in ("fuse", "fuseblk")

    @property
    def owner(self) -> int | None:
        """The ``user_id`` that the kernel shows, None where there is none."""
        # The kernel prints a FUSE mount's options from numbers it has parsed: no comma, and no
        # user_id of another's making, can stand inside one of them.
        for option in self.options.split(","):
            name, _, value = option.partition("=")
            if name == "user_id" and value.isdecimal():
                return int(value)
        return None


class MountEntry(Mount):
    """One mount as the table shows it."""

    __slots__ = ("attributes", "device", "root", "source")

    def __init__(
        self,
        id: int,  # noqa: A002  # the kernel's word
        parent: int,
        device: str,
        root: str,
        mountpoint: str,
        attributes: str,
        fstype: str,
        source: str,
        options: str,
    ) -> None:
        super().__init__(id, parent, mountpoint, fstype, options)
        self.device = device
        self.root = root
        self.attributes = attributes
        self.source = source


def parse(line: bytes) -> MountEntry:
    """One line, with or without its newline; ValueError if it is not one of mountinfo's."""
    before, dash, after = line.rstrip(b"\n").partition(b" - ")
    fields, last = before.split(b" "), after.split(b" ")
    if not dash or len(fields) < 6 or len(last) != 3:
        raise ValueError("not a line of mountinfo")
    return MountEntry(
        int(fields[0]),
        int(fields[1]),
        fields[2].decode("ascii", "surrogateescape"),
        unescape(fields[3]),
        unescape(fields[4]),
        unescape(fields[5]),
        unescape(last[0]),
        unescape(last[1]),
        unescape(last[2]),
    )


def parse_statmount(answer: bytes) -> Mount:
    """An answer to STATMOUNT_MASK; ValueError if the kernel left some of it out (before 6.11)."""
    if _number(answer, _MASK_AT, 8) & STATMOUNT_MASK != STATMOUNT_MASK:
        raise ValueError("not all of what is judged")
    return Mount(
        _number(answer, _MNT_ID_OLD_AT, 4),
        _number(answer, _MNT_PARENT_ID_OLD_AT, 4),
        _string(answer, _MNT_POINT_AT),
        _string(answer, _FS_TYPE_AT),
        _string(answer, _MNT_OPTS_AT),
    )


def _string(answer: bytes, offset: int) -> str:
    start = _STRINGS_AT + _number(answer, offset, 4)
    return answer[start : answer.index(b"\0", start)].decode("utf-8", "surrogateescape")


def _number(answer: bytes, offset: int, size: int) -> int:
    return int.from_bytes(answer[offset : offset + size], sys.byteorder)


def unescape(field: bytes) -> str:
    """Undo the kernel's escapes: a backslash and three octal digits are one byte (seq_file.c)."""
    pieces = field.split(b"\\")
    for index, piece in enumerate(pieces[1:], 1):
        digits = piece[:3]
        if len(digits) == 3 and not digits.strip(b"01234567") and digits < b"4":
            pieces[index] = bytes([int(digits, 8)]) + piece[3:]
        else:
            pieces[index] = b"\\" + piece
    return b"".join(pieces).decode("utf-8", "surrogateescape")
