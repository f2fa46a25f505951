"""
Kernel floor: a FUSE mount made with fsopen, fsconfig, fsmount and move_mount.

    open -> configure       nothing is mounted, the kernel has checked every parameter
    create                  the superblock; with sync-init it blocks until FUSE_INIT is answered
    attach                  a detached mount with all its attributes, moved onto the pinned inode
"""

import posix

from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import syscalls
from fusermount_py.helper.kernel.constants import (
    FSCONFIG_CMD_CREATE,
    FSCONFIG_SET_FLAG,
    FSCONFIG_SET_STRING,
    FSMOUNT_CLOEXEC,
    FSOPEN_CLOEXEC,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_EMPTY_PATH,
    MS_DIRSYNC,
    MS_LAZYTIME,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_RDONLY,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
)
from fusermount_py.helper.kernel.mountpoint import Pinned

_SUPERBLOCK_FLAGS = (
    (MS_RDONLY, b"ro"),
    (MS_SYNCHRONOUS, b"sync"),
    (MS_DIRSYNC, b"dirsync"),
    (MS_LAZYTIME, b"lazytime"),
)
_ATTRIBUTES = (
    (MS_RDONLY, MOUNT_ATTR_RDONLY),
    (MS_NOSUID, MOUNT_ATTR_NOSUID),
    (MS_NODEV, MOUNT_ATTR_NODEV),
    (MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    (MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
    (MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
)
_LOG_LINE = 4096


class FsContext:
    """An open fs context, fully configured. Each method needs CAP_SYS_ADMIN in its thread."""

    __slots__ = ("_attributes", "_descriptor")

    is_public = False  # seen by others only once it is attached

    def __init__(self, fstype: str, flags: int, parameters: list[tuple[str, str | None]]) -> None:
        """Open and configure; a parameter with None is a flag. OSError: what fsopen raises."""
        self._attributes = attributes(flags)
        self._descriptor = syscalls.fsopen(fstype.encode(), FSOPEN_CLOEXEC)
        try:
            for bit, name in _SUPERBLOCK_FLAGS:
                if flags & bit:
                    syscalls.fsconfig(self._descriptor, FSCONFIG_SET_FLAG, name, None)
            for key, value in parameters:
                self._set(key, value)
        except OSError as error:
            raise self.failure(error, "configure") from error

    def _set(self, key: str, value: str | None) -> None:
        name = key.encode()
        if value is None:
            syscalls.fsconfig(self._descriptor, FSCONFIG_SET_FLAG, name, None)
        else:
            text = value.encode("utf-8", "surrogateescape")
            syscalls.fsconfig(self._descriptor, FSCONFIG_SET_STRING, name, text)

    def create(self, _mountpoint: Pinned) -> None:
        """Make the superblock, which sends FUSE_INIT."""
        syscalls.fsconfig(self._descriptor, FSCONFIG_CMD_CREATE, None, None)

    def attach(self, mountpoint: Pinned) -> int:
        """The mount's fd; it is seen by others only here, with all its attributes."""
        mount = syscalls.fsmount(self._descriptor, FSMOUNT_CLOEXEC, self._attributes)
        syscalls.move_mount(
            mount, mountpoint.descriptor, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        )
        return mount

    def failure(self, error: OSError, step: str) -> KernelError:
        """The sentence for a failed call, with the kernel's own lines in brackets."""
        lines = self._read_log()
        bracket = f" [{'; '.join(lines)}]" if lines else ""
        return KernelError(
            f"mount failed: {error.strerror}{bracket}", error.errno or 0, step, lines
        )

    def close(self) -> None:
        """Let go of the context; a superblock that has no mount goes with it."""
        posix.close(self._descriptor)

    def _read_log(self) -> tuple[str, ...]:
        """Lines such as "e fuse: Bad value for 'fd'", without the letter; ENODATA at the end."""
        lines = []
        try:
            while line := posix.read(self._descriptor, _LOG_LINE):
                text = line.decode("utf-8", "surrogateescape").rstrip("\n")
                lines.append(text[2:] if text[1:2] == " " else text)
        except OSError:
            pass
        return tuple(lines)


def attributes(flags: int) -> int:
    """mount(2) flags -> fsmount attributes. strictatime wins over noatime, as in mount(2)."""
    found = sum(attribute for flag, attribute in _ATTRIBUTES if flags & flag)
    if flags & MS_STRICTATIME:
        return found | MOUNT_ATTR_STRICTATIME
    return found | (MOUNT_ATTR_NOATIME if flags & MS_NOATIME else 0)
