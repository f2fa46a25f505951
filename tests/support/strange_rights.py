"""Rights that do not show in a mode: access lists, and ids as a user namespace maps them."""

import ctypes
import fcntl
import os
import signal
import struct
from pathlib import Path

import pytest

from support import kernel
from support.users import User

FS_IMMUTABLE_FL, FS_CASEFOLD_FL = 0x10, 0x40000000
FS_IOC_SETFLAGS = 0x40086602  # _IOW('f', 2, long), linux/fs.h
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, OPEN_TREE_CLONE = -100, 0x1000, 0x1
MOUNT_ATTR_IDMAP, MOVE_MOUNT_F_EMPTY_PATH = 0x100000, 0x4
USER_OBJ, NAMED_USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20  # linux/posix_acl.h
NOBODY = 0xFFFFFFFF

_libc = ctypes.CDLL(None, use_errno=True)


def set_acl(path: Path, user: User, rights: int, mask: int = 7, other: int = 7) -> None:
    """As setfacl(1) does: what this user may do, by name; ``mask`` bounds it."""
    entries = (
        (USER_OBJ, 7, NOBODY), (NAMED_USER, rights, user.uid), (GROUP_OBJ, 7, NOBODY),
        (MASK, mask, NOBODY), (OTHER, other, NOBODY),
    )  # fmt: skip
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", value)


def show_with_mapped_ids(place: Path, shown: Path, inside: int, outside: int) -> None:
    """What `inside` owns at `place` is `outside`'s at `shown`; everybody else's is nobody's."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWUSER)
            os.write(writer, b"!")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    try:
        os.read(reader, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text(f"{inside} {outside} 1\n", encoding="ascii")
        namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
        _mount_mapped(place, shown, namespace)
        os.close(namespace)
    except OSError as error:
        pytest.skip(f"needs mounts with mapped ids on this file system: {error}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)


def _mount_mapped(place: Path, shown: Path, namespace: int) -> None:
    """Show the tree at `place`, at `shown`, with ids as this user namespace maps them."""
    attributes = struct.pack("=4Q", MOUNT_ATTR_IDMAP, 0, 0, namespace)
    tree = _call(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(place), OPEN_TREE_CLONE)
    try:
        _call(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
        target = os.fsencode(shown)
        _call(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def _call(number: int, *arguments: int | bytes) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def set_flags(path: Path, flags: int) -> None:
    """Those of chattr(1)."""
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(held, FS_IOC_SETFLAGS, struct.pack("=l", flags))
    finally:
        os.close(held)
