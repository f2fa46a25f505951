"""
Whether a mount is still the one that was judged.

The kernel gives a number of the mount table, or of a connection, to the next mount as soon as it is
free: a number alone may have become another user's.
"""

import os

from fusermount_py.helper.kernel import mount_identity, mount_table
from fusermount_py.helper.mount_entry import MountEntry


def is_same(entry: MountEntry, other: MountEntry | None) -> bool:
    """All but the path, which its owner may rename, and the flags."""
    return other is not None and _identity(entry) == _identity(other)


def _identity(entry: MountEntry) -> tuple[object, ...]:
    return entry.id, entry.device, entry.root, entry.fstype, entry.source, entry.options


def is_still_there(entry: MountEntry) -> bool:
    """By the table of this moment."""
    return is_same(entry, mount_table.entry_with_id(entry.id))


def is_of_this_namespace(path: str) -> bool:
    """Whether a directory lies on a mount of the table: numbers are the same in no two of them."""
    directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return mount_identity.is_here(directory)
    finally:
        os.close(directory)
