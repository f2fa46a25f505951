"""
Kernel floor: a FUSE mount made with mount(2), where the fs context cannot serve.

That is a kernel or a sandbox without fsopen (ENOSYS), and any string longer than the 255 bytes of
fsconfig. Here create mounts as well: one call does both, onto the pinned inode, with all flags.
"""

import errno
import posix

from fusermount_py.helper.errors import KernelError, Refused
from fusermount_py.helper.kernel import mount_table, mountpoint, syscalls
from fusermount_py.helper.kernel.mountpoint import Pinned

_NAMES = ("source", "subtype")  # arguments of their own, no data
_PAGE = 4096  # mount(2) copies one page of data, and of source; the smallest page there is


class LegacyMount:
    """The arguments of one mount call, checked for length; the same methods as FsContext."""

    __slots__ = ("_data", "_flags", "_fstype", "_source", "_subtype")

    def __init__(self, fstype: str, flags: int, parameters: list[tuple[str, str | None]]) -> None:
        """``parameters`` as for FsContext: ``source`` and ``subtype`` are taken out of them."""
        names = {key: value for key, value in parameters if key in _NAMES}
        others = [option for option in parameters if option[0] not in _NAMES]
        self._fstype = fstype
        self._flags = flags
        self._source = names["source"] or ""
        self._subtype = names.get("subtype")
        self._data = ",".join(_option(key, value) for key, value in others)
        longest = max(map(_bytes, (self._data, self._source, self._type())), key=len)
        if len(longest) >= _PAGE:
            raise Refused("mount options too long", "options", errno.EINVAL)

    def _type(self) -> str:
        return f"{self._fstype}.{self._subtype}" if self._subtype is not None else self._fstype

    def create(self, pinned: Pinned) -> None:
        """Mount. A kernel without subtypes says ENODEV: there the source carries it."""
        target = _bytes(pinned.magic_link)
        data = _bytes(self._data)
        try:
            syscalls.mount(_bytes(self._source), target, _bytes(self._type()), self._flags, data)
        except OSError as error:
            if error.errno != errno.ENODEV or not self._subtype:
                raise
            self._source, self._subtype = f"{self._subtype}#{self._source}", None
            syscalls.mount(_bytes(self._source), target, _bytes(self._fstype), self._flags, data)

    def attach(self, pinned: Pinned) -> int:
        """
        An fd on what create has mounted: the mount that now covers the pinned inode.

        mount(2) returns no fd, so it is looked for at the inode's present name, and told by its
        parent mount, type and source. What is not ours by all three raises OSError (ESTALE).
        """
        path = posix.readlink(pinned.magic_link)
        mount = mountpoint.hold(mountpoint.locate(path))
        entry = mount_table.entry_of(mount)
        if (
            entry is None
            or not entry.is_fuse
            or (entry.mountpoint, entry.source) != (path, self._source)
            or entry.parent != mount_table.mount_id(pinned.descriptor)
        ):
            posix.close(mount)
            raise OSError(errno.ESTALE, posix.strerror(errno.ESTALE))
        return mount

    def failure(self, error: OSError, step: str) -> KernelError:
        """The sentence for a failed call; mount(2) has no lines of its own."""
        return KernelError(f"mount failed: {error.strerror}", error.errno or 0, step)

    def close(self) -> None:
        """Nothing is held."""


def _option(key: str, value: str | None) -> str:
    """A comma inside an SELinux context does not separate when quoted (security/selinux)."""
    if value is None:
        return key
    return f'{key}="{value}"' if "," in value else f"{key}={value}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
