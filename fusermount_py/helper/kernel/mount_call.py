"""
Kernel floor: the arguments of one mount(2), for what the fs context cannot do.

mount(2) takes names of up to a page, where fsconfig takes 255 bytes, and is there in sandboxes
that know no newer call. What it mounts has no descriptor, which is why it is called in two ways
only: unseen (detached_mount.py), or where nothing else is left (legacy_mount.py).
"""

import errno

from fusermount_py.helper.errors import KernelError, Refused
from fusermount_py.helper.kernel import syscalls

_NAMES = ("source", "subtype")  # arguments of their own, no data
_PAGE = 4096  # mount(2) copies one page of data, and of source; the smallest page there is


class MountCall:
    """Checked for length; nothing is mounted yet. ``source`` is what the mount table will show."""

    __slots__ = ("_data", "_flags", "_fstype", "_subtype", "owner", "source")

    def __init__(self, fstype: str, flags: int, parameters: list[tuple[str, str | None]]) -> None:
        """``parameters`` as for FsContext: ``source`` and ``subtype`` are taken out of them."""
        values = dict(parameters)
        others = [option for option in parameters if option[0] not in _NAMES]
        self._fstype = fstype
        self._flags = flags
        self._subtype = values.get("subtype")
        self._data = ",".join(_option(key, value) for key, value in others)
        self.source = values["source"] or ""
        self.owner = int(values["user_id"] or 0)
        longest = max(map(_bytes, (self._data, self.source, self._type())), key=len)
        if len(longest) >= _PAGE:
            raise Refused("mount options too long", "options", errno.EINVAL)

    def _type(self) -> str:
        return f"{self._fstype}.{self._subtype}" if self._subtype is not None else self._fstype

    def mount_on(self, target: str) -> None:
        """Mount. A kernel without subtypes says ENODEV: there the source carries it."""
        where, data = _bytes(target), _bytes(self._data)
        try:
            syscalls.mount(_bytes(self.source), where, _bytes(self._type()), self._flags, data)
        except OSError as error:
            if error.errno != errno.ENODEV or not self._subtype:
                raise
            self.source, self._subtype = f"{self._subtype}#{self.source}", None
            syscalls.mount(_bytes(self.source), where, _bytes(self._fstype), self._flags, data)


def failure(error: OSError, step: str) -> KernelError:
    """The sentence for a failed call; mount(2) has no lines of its own."""
    return KernelError(f"mount failed: {error.strerror}", error.errno or 0, step)


def _option(key: str, value: str | None) -> str:
    """A comma inside an SELinux context does not separate when quoted (security/selinux)."""
    if value is None:
        return key
    return f'{key}="{value}"' if "," in value else f"{key}={value}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
