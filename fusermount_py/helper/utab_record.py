"""
Policy: what may stand in util-linux's table, and which of its lines is a mount's own.

    UNIQID=2147485432 SRC=demo TARGET=/mnt/demo ROOT=/ OPTS=x-gvfs-hide,x-demo

UNIQID, the kernel's unique mount id, is there since util-linux 2.42; without it names must do.
The line is written by util-linux; an ordinary caller chooses the words of its OPTS, so these are
the words that no program obeys as root.
"""

from fusermount_py.helper.mount_entry import unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.mount_entry import MountEntry

_UNIQUE_ID_DIGITS = 20  # of 64 bits; the kernel counts them from 2**31 on
_LONGEST = 4096  # bytes of options: as much as a mount(2) call takes; the table lies in memory


class UtabRecord:
    """One line of the table; ``unique_id`` is None where the line does not tell it."""

    __slots__ = ("options", "source", "target", "unique_id")

    def __init__(self, unique_id: str, source: str, target: str, options: str) -> None:
        is_one = unique_id.isdecimal() and len(unique_id) < _UNIQUE_ID_DIGITS
        self.unique_id = int(unique_id) if is_one else None
        self.source = source
        self.target = target
        self.options = options


def parse(line: bytes) -> UtabRecord:
    """One line; what it lacks is empty, what else it holds is left out."""
    fields = dict(field.partition(b"=")[::2] for field in line.split(b" "))
    names = (b"UNIQID", b"SRC", b"TARGET", b"OPTS")
    return UtabRecord(*(unescape(fields.get(name, b"")) for name in names))


def recordable(options: list[str]) -> list[str]:
    """
    Those of the caller's options that mount(8) may be given as root.

    ``x-mount.`` ones are orders to mount(8) itself (x-mount.mkdir makes directories), and a quote
    would let its parser see other options than ours. Too much of them is none of them.
    """
    harmless = [
        option
        for option in options
        if option.startswith("x-") and not option.startswith("x-mount.") and '"' not in option
    ]
    length = len(",".join(harmless).encode("utf-8", "surrogateescape"))
    return harmless if length < _LONGEST else []


def has_plain_source(entry: "MountEntry") -> bool:
    """Whether mount(8) takes the source as it is: for ``LABEL=x`` it would search the disks."""
    name, equals, _ = entry.source.partition("=")
    return bool(name) and not (equals and name.isupper())


def is_left_by(record: UtabRecord | None, entry: "MountEntry", mounted: "list[MountEntry]") -> bool:
    """
    Whether ``record``, its target's last, belonged to ``entry``, which is gone from ``mounted``.

    By names, for a record without a unique id. Another's record at the same path stays: a mount
    that matches it is still there, or it has more than x- options, which is more than any FUSE
    mount's record has from us.
    """
    if record is None or (record.source, record.target) != (entry.source, entry.mountpoint):
        return False
    if not all(option.startswith("x-") for option in record.options.split(",")):
        return False
    return not any(
        (other.source, other.mountpoint) == (record.source, record.target) for other in mounted
    )
