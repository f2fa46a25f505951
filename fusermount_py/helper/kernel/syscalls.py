"""
Kernel floor: the system calls that the posix module lacks, one wrapper each, named as the call.

Arguments are the kernel's own: int, bytes (the C layer ends them with NUL), None for NULL. A failed
call raises OSError with errno, the words for it, and the name of the call.
"""

import _ctypes  # the C core alone: the ctypes package is 4 ms of every mount
import errno
import posix
import sys

from fusermount_py.helper.kernel.constants import (
    SYS_FSCONFIG,
    SYS_FSMOUNT,
    SYS_FSOPEN,
    SYS_MOVE_MOUNT,
    SYS_OPEN_TREE,
    SYS_STATMOUNT,
)

_FUNCFLAG_CDECL = 0x1  # the GIL is released during the call: create may block for minutes
_FUNCFLAG_USE_ERRNO = 0x8
_STATFS_BYTES = 256  # struct statfs is 120 bytes on 64-bit machines
_STATX_BYTES = 256  # struct statx, all architectures
_STATX_MASK_AT = 0
_STATX_MNT_ID_AT = 0x90
_MNT_ID_REQ_BYTES = 24  # struct mnt_id_req, first version


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]  # generic in the stubs only
    _type_ = "l"


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Bytes(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Byte(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Buffer(_ctypes.Array):  # type: ignore[type-arg]
    _type_ = _Byte
    _length_ = 256


class _Pages(_ctypes.Array):  # type: ignore[type-arg]
    _type_ = _Byte
    _length_ = 8192


class _Function(_ctypes.CFuncPtr):
    _flags_ = _FUNCFLAG_CDECL | _FUNCFLAG_USE_ERRNO
    _restype_ = _Int


_LIBC = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # NULL: what is loaded already


def _function(symbol: str, *argtypes: type) -> _Function:
    function = _Function(_ctypes.dlsym(_LIBC, symbol))
    function.argtypes = argtypes
    # An int read as a long can have anything in its upper half: -1 was 4294967295, no failure.
    function.restype = _Long if symbol == "syscall" else _Int
    return function


_fsopen = _function("syscall", _Long, _Bytes, _Long)
_fsconfig = _function("syscall", _Long, _Long, _Long, _Bytes, _Bytes, _Long)
_fsmount = _function("syscall", _Long, _Long, _Long, _Long)
_move_mount = _function("syscall", _Long, _Long, _Bytes, _Long, _Bytes, _Long)
_open_tree = _function("syscall", _Long, _Long, _Bytes, _Long)
_mount = _function("mount", _Bytes, _Bytes, _Bytes, _Long, _Bytes)
_umount2 = _function("umount2", _Bytes, _Long)
_unshare = _function("unshare", _Long)
_statx = _function("statx", _Long, _Bytes, _Long, _Long, _Pointer)
_fstatfs = _function("fstatfs", _Long, _Pointer)
_statmount = _function("syscall", _Long, _Bytes, _Pointer, _Long, _Long)


def _checked(call: str, result: int) -> int:
    """The one place that turns a failed call into an exception."""
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, posix.strerror(number), call)
    return result


def fsopen(fstype: bytes, flags: int) -> int:
    """Open an fs context; needs CAP_SYS_ADMIN."""
    return _checked("fsopen", _fsopen(SYS_FSOPEN, fstype, flags))


def has_fsopen() -> bool:
    """Asked without a name, so that nothing is opened for anybody: EPERM or EFAULT where it is."""
    return _fsopen(SYS_FSOPEN, None, 0) >= 0 or _ctypes.get_errno() != errno.ENOSYS


def fsconfig(context: int, command: int, key: bytes | None, value: bytes | None) -> None:
    """Set one parameter, or create the superblock (needs CAP_SYS_ADMIN, blocks until FUSE_INIT)."""
    _checked("fsconfig", _fsconfig(SYS_FSCONFIG, context, command, key, value, 0))


def fsmount(context: int, flags: int, attributes: int) -> int:
    """A detached mount of what was created; needs CAP_SYS_ADMIN."""
    return _checked("fsmount", _fsmount(SYS_FSMOUNT, context, flags, attributes))


def move_mount(mount: int, target: int, flags: int) -> None:
    """Attach one fd's mount onto another fd's inode; needs CAP_SYS_ADMIN."""
    _checked("move_mount", _move_mount(SYS_MOVE_MOUNT, mount, b"", target, b"", flags))


def open_tree(directory: int, path: bytes, flags: int) -> int:
    """A copy of a mount, mounted nowhere (OPEN_TREE_CLONE); needs CAP_SYS_ADMIN."""
    return _checked("open_tree", _open_tree(SYS_OPEN_TREE, directory, path, flags))


def mount(
    source: bytes | None, target: bytes, fstype: bytes | None, flags: int, data: bytes | None
) -> None:
    """The mount call of before 2019; needs CAP_SYS_ADMIN."""
    _checked("mount", _mount(source, target, fstype, flags, data))


def umount2(target: bytes, flags: int) -> None:
    """Unmount by path; needs CAP_SYS_ADMIN."""
    _checked("umount2", _umount2(target, flags))


def unshare(flags: int) -> None:
    """Namespaces of its own for the calling thread alone; needs CAP_SYS_ADMIN."""
    _checked("unshare", _unshare(flags))


def statx_mount_id(descriptor: int, flags: int, mask: int) -> int | None:
    """The mount id of an open file; None if the kernel does not know ``mask`` (before 6.8)."""
    buffer = _Buffer()
    _checked("statx", _statx(descriptor, b"", flags, mask, buffer))
    answer = bytes(buffer)
    if not _number(answer, _STATX_MASK_AT, 4) & mask:
        return None
    return _number(answer, _STATX_MNT_ID_AT, 8)


def fstatfs_type(descriptor: int) -> int:
    """``f_type`` of the file system an open file lies on, unsigned (linux/magic.h)."""
    buffer = _Buffer()
    _checked("fstatfs", _fstatfs(descriptor, buffer))
    return _number(bytes(buffer), 0, _ctypes.sizeof(_Long))


def statmount(mount: int, mask: int) -> bytes:
    """What ``mask`` asks of one mount, by its unique id: struct statmount and its strings."""
    answer = _Pages()
    fields = ((_MNT_ID_REQ_BYTES, 4), (0, 4), (mount, 8), (mask, 8))
    request = b"".join(value.to_bytes(size, sys.byteorder) for value, size in fields)
    _checked("statmount", _statmount(SYS_STATMOUNT, request, answer, _Pages._length_, 0))
    return bytes(answer)


def _number(answer: bytes, offset: int, size: int) -> int:
    return int.from_bytes(answer[offset : offset + size], sys.byteorder)
