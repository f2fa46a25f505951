"""
Policy: the text after ``-o`` -> MountOptions. The only place that reads the option string.

The table has mount(2)'s flags, because they name everything that either kernel interface knows;
kernel/fs_context.py translates them into superblock options and mount attributes.
"""

from fusermount_py.helper.errors import Refused
from fusermount_py.helper.kernel.constants import (
    MS_DIRSYNC,
    MS_LAZYTIME,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_RDONLY,
    MS_RELATIME,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.fuse_conf import Config

HARDENING = MS_NOSUID | MS_NODEV

# option: (flags it sets, flags it clears, safe: an ordinary caller may turn it)
FLAGS = {
    "rw":            (0,              MS_RDONLY,      True),
    "ro":            (MS_RDONLY,      0,              True),
    "suid":          (0,              MS_NOSUID,      False),
    "nosuid":        (MS_NOSUID,      0,              True),
    "dev":           (0,              MS_NODEV,       False),
    "nodev":         (MS_NODEV,       0,              True),
    "exec":          (0,              MS_NOEXEC,      True),
    "noexec":        (MS_NOEXEC,      0,              True),
    "async":         (0,              MS_SYNCHRONOUS, True),
    "sync":          (MS_SYNCHRONOUS, 0,              True),
    "dirsync":       (MS_DIRSYNC,     0,              True),
    "atime":         (0,              MS_NOATIME,     True),
    "noatime":       (MS_NOATIME,     0,              True),
    "diratime":      (0,              MS_NODIRATIME,  True),
    "nodiratime":    (MS_NODIRATIME,  0,              True),
    "relatime":      (MS_RELATIME,    0,              True),
    "norelatime":    (0,              MS_RELATIME,    True),
    "strictatime":   (MS_STRICTATIME, 0,              True),
    "nostrictatime": (0,              MS_STRICTATIME, True),
    "lazytime":      (MS_LAZYTIME,    0,              True),
    "nolazytime":    (0,              MS_LAZYTIME,    True),
    "symfollow":     (0,              MS_NOSYMFOLLOW, True),
    "nosymfollow":   (MS_NOSYMFOLLOW, 0,              True),
}  # fmt: skip

_KERNEL_VALUES = ("max_read", "blksize")
_SELINUX = ("context", "fscontext", "defcontext", "rootcontext")
_ESCAPED = ("fsname=", "subtype=")  # a backslash in them escapes the next character
_QUOTED = tuple(f"{name}=" for name in _SELINUX)  # double quotes in them hide commas
_IGNORED_WORDS = ("nonempty", "large_read")
_IGNORED_VALUES = ("fd", "rootmode", "user_id", "group_id")


class MountOptions:
    """What to mount and how, judged: whatever the text was, this is all the kernel is told."""

    __slots__ = (
        "allow_other", "auto_unmount", "blkdev", "default_permissions", "flags", "for_utab",
        "fsname", "subtype", "values", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.flags = HARDENING
        self.fsname: str | None = None
        self.subtype: str | None = None
        self.blkdev = False
        self.allow_other = False
        self.default_permissions = False
        self.auto_unmount = False
        self.values: list[tuple[str, str | None]] = []
        self.for_utab: list[str] = []
        self.warnings: list[str] = []

    @property
    def fstype(self) -> str:
        return "fuseblk" if self.blkdev else "fuse"

    def source(self, device: str) -> str:
        """What the mount table shows as the source: fsname, else subtype, else the device."""
        if self.fsname is not None:
            return self.fsname
        return self.subtype or device

    def parameters(self) -> list[tuple[str, str | None]]:
        """FUSE's own superblock options; None stands for an option without a value."""
        flags = (
            ("default_permissions", self.default_permissions),
            ("allow_other", self.allow_other),
        )
        return [*((name, None) for name, given in flags if given), *self.values]


def parse(text: str, config: "Config", *, privileged: bool) -> MountOptions:
    """
    Read the option string from left to right; the first thing wrong raises Refused.

    ``privileged`` is true for root, who may give every option.
    """
    options = MountOptions()
    for option in split(text):
        name, equals, value = option.partition("=")
        if option in FLAGS:
            _turn(options, option, privileged=privileged)
        elif equals:
            _set_value(options, option, name, value, privileged=privileged)
        else:
            _set_word(options, option, config, privileged=privileged)
    return options


def split(text: str) -> list[str]:
    """
    Cut at commas that are not escaped (in fsname= and subtype=) or quoted (in SELinux contexts).

    Escapes and quotes are still there in the pieces. A comma at the very end separates nothing,
    any other empty piece counts (as in the C helper, which knows no option '').
    """
    pieces, start = [], 0
    while start < len(text):
        escapes, quotes = text.startswith(_ESCAPED, start), text.startswith(_QUOTED, start)
        end, quoted = start, False
        while end < len(text) and (quoted or text[end] != ","):
            if escapes and text[end] == "\\":
                end += 1
            elif quotes and text[end] == '"':
                quoted = not quoted
            end += 1
        pieces.append(text[start:end])
        start = end + 1
    return pieces


def _turn(options: MountOptions, option: str, *, privileged: bool) -> None:
    sets, clears, safe = FLAGS[option]
    if safe or privileged:
        options.flags = (options.flags | sets) & ~clears
    else:
        options.warnings.append(f"unsafe option {option} ignored")


def _set_word(options: MountOptions, option: str, config: "Config", *, privileged: bool) -> None:
    if option == "default_permissions":
        options.default_permissions = True
    elif option == "auto_unmount":
        options.auto_unmount = True
    elif option == "allow_other":
        check_allow_other(config, privileged=privileged)
        options.allow_other = True
    elif option == "blkdev":
        if not privileged:
            raise Refused("option blkdev is privileged", "options")
        options.blkdev = True
    elif option.startswith("x-"):
        options.for_utab.append(option)
    elif option not in _IGNORED_WORDS:
        raise _unknown(option)


def _set_value(
    options: MountOptions, option: str, name: str, value: str, *, privileged: bool
) -> None:
    if name == "fsname":
        options.fsname = _without_escapes(value)
    elif name == "subtype":
        options.subtype = _without_escapes(value)
    elif name in _KERNEL_VALUES:
        options.values.append((name, value))
    elif name in _SELINUX and privileged:
        options.values.append((name, value.replace('"', "")))
    elif name.startswith("x-"):
        options.for_utab.append(option)
    elif name not in _IGNORED_VALUES:
        raise _unknown(option)


def check_allow_other(config: "Config", *, privileged: bool) -> None:
    """A mount that answers everybody can stop everybody's processes: the administrator decides."""
    if not (privileged or config.user_allow_other):
        raise Refused(
            f"option allow_other only allowed if 'user_allow_other' is set in {config.path}",
            "options",
        )


def _without_escapes(value: str) -> str:
    characters = iter(value)
    # A backslash at the very end escapes nothing and stands for itself.
    return "".join(next(characters, one) if one == "\\" else one for one in characters)


def _unknown(option: str) -> Refused:
    return Refused(f"unknown option '{option}'", "options")
