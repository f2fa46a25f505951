"""Which program mounts for this process."""

from __future__ import annotations

import errno
import os
import sys

from fusermount_py.client.errors import HelperNotFound

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("fusermount3", "fusermount")
_CAP_SYS_ADMIN = 21  # linux/capability.h
# Below `-I -S` sys.path holds the standard library alone; the package is found where this one is.
# No guard program is installed: the helper itself waits for the end of an auto_unmount client.
_OWN_HELPER = """\
import sys
sys.path.insert(0, {folder!r})
from fusermount_py.helper.main import main
main(sys.argv[1:], fuse_conf="/etc/fuse.conf", helper="/nonexistent", guard="/nonexistent")
"""


def find_helper(helper: str | os.PathLike[str] | None = None) -> Sequence[str]:
    """
    What to execute: path, argv[0], and arguments of an interpreter. Raises HelperNotFound.

    The helper that was named; else fusermount3, then fusermount on PATH; else, where this process
    may mount by itself (root, also of a user namespace), this package's own with this interpreter.
    """
    if helper is not None:
        path = os.fsdecode(helper)
        return [path, os.path.basename(path) or path]
    folders = os.get_exec_path()
    for name in _NAMES:
        for folder in folders:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return [path, name]
    if sys.executable and _may_mount():
        return own_helper()
    raise HelperNotFound(
        errno.ENOENT,
        "neither fusermount3 nor fusermount is on PATH, and this process may not mount by itself",
        step="spawn",
    )


def own_helper() -> Sequence[str]:
    """This package's helper, with whatever rights this process has."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = _OWN_HELPER.format(folder=folder)
    return [sys.executable, sys.executable, "-I", "-S", "-B", "-c", code, _NAMES[0]]


def _may_mount() -> bool:
    """Whether CAP_SYS_ADMIN is in force here (proc(5), /proc/pid/status)."""
    try:
        with open("/proc/thread-self/status", "rb", buffering=0) as file:
            status = file.read(1 << 16)
    except OSError:
        return os.geteuid() == 0
    effective = status.partition(b"\nCapEff:")[2].split(None, 1)
    return bool(effective) and bool(int(effective[0], 16) >> _CAP_SYS_ADMIN & 1)
