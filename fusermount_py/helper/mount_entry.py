"""
Policy: one line of /proc/self/mountinfo -> MountEntry.

    36 35 0:42 / /mnt/demo rw,nosuid,nodev shared:1 - fuse.demo demo rw,user_id=1000,group_id=1000
    id parent   root mountpoint mount options  tags -  fstype   source superblock options

Read by the helper and by the tools that are not privileged; makes no system call (proc(5)).
"""


class MountEntry:
    """One mount as the kernel shows it; undecodable bytes of names are kept (surrogateescape)."""

    __slots__ = (
        "attributes", "device", "fstype", "id", "mountpoint", "options", "parent", "root", "source",
    )  # fmt: skip

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
        self.id = id
        self.parent = parent
        self.device = device
        self.root = root
        self.mountpoint = mountpoint
        self.attributes = attributes
        self.fstype = fstype
        self.source = source
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
