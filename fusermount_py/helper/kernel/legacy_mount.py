"""
Kernel floor: a FUSE mount where mount(2) is the only call there is: a sandbox without fsopen.

    create    mount(2) onto the pinned inode: seen by all at once
    attach    nothing but finding it again, for a descriptor: by its name in the held directory

A name only says where to look. What is taken for ours must be a FUSE mount of the same owner, with
the same source, on the very mount that the mountpoint was pinned in: who leads us astray gets a
mount of their own.
"""

import errno
import posix

from fusermount_py.helper.kernel import mount_call, mount_identity, mountpoint
from fusermount_py.helper.kernel.mount_call import MountCall
from fusermount_py.helper.kernel.mountpoint import Pinned

_NOT_FOUND = "it is mounted, but not to be found again"


class LegacyMount:
    """The same methods as FsContext; each needs CAP_SYS_ADMIN in its thread."""

    __slots__ = ("_call",)

    is_public = True  # create() is the deed

    def __init__(self, call: MountCall) -> None:
        self._call = call

    def create(self, pinned: Pinned) -> None:
        """Mount, which sends FUSE_INIT."""
        self._call.mount_on(pinned.magic_link)

    def attach(self, pinned: Pinned) -> int:
        """An fd on what create() has mounted; OSError if it is not there."""
        mount = mountpoint.hold(pinned.located)
        entry = mount_identity.entry_of(mount)
        if (
            entry is None
            or not entry.is_fuse
            or (entry.owner, entry.source) != (self._call.owner, self._call.source)
            or not mount_identity.lies_on(mount, pinned.descriptor)
        ):
            posix.close(mount)
            raise OSError(errno.ESTALE, _NOT_FOUND)
        return mount

    failure = staticmethod(mount_call.failure)
