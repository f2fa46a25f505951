"""
Policy: what may stand in util-linux's table, and which of its lines is a mount's own.

    SRC=demo TARGET=/mnt/demo ROOT=/ OPTS=x-gvfs-hide,x-demo

The line is written by util-linux; an ordinary caller chooses the words of its OPTS, so these are
the words that no program obeys as root.
"""

from fusermount_py.helper.mount_entry import unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.mount_entry import MountEntry

_LONGEST = 4096  # bytes of options: as much as a mount(2) call takes; the table lies in memory


class UtabRecord:
    """One line of the table."""

    __slots__ = ("options", "source", "target")

    def __init__(self, source: str, target: str, options: str) -> None:
        self.source = source
        self.target = target
        self.options = options


def parse(line: bytes) -> UtabRecord:
    """One line; what it lacks is empty, what else it holds is left out."""
    fields = dict(field.partition(b"=")[::2] for field in line.split(b" "))
    return UtabRecord(*(unescape(fields.get(name, b"")) for name in (b"SRC", b"TARGET", b"OPTS")))


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

    Another's record at the same path stays: a mount that matches it is still there, or it has
    more than x- options, which is more than any FUSE mount's record has from us.
    """
    if record is None or (record.source, record.target) != (entry.source, entry.mountpoint):
        return False
    if not all(option.startswith("x-") for option in record.options.split(",")):
        return False
    return not any(
        (other.source, other.mountpoint) == (record.source, record.target) for other in mounted
    )
