"""Kernel floor: the FUSE device, opened as the caller."""

import errno
import posix
from _stat import S_ISCHR

from fusermount_py.helper.errors import KernelError, Refused

DEFAULT_DEVICE = "/dev/fuse"


def open_device(path: str) -> int:
    """
    A new connection's fd, read-write; ``path`` is /dev/fuse, or root's FUSE_KERN_DEVICE.

    Another path must be a character device below /dev/, judged on the open file.
    """
    try:
        descriptor = posix.open(path, posix.O_RDWR | posix.O_NOCTTY | posix.O_CLOEXEC)
    except OSError as error:
        raise _not_opened(path, error.errno or 0) from error
    if path != DEFAULT_DEVICE:
        name = posix.readlink(f"/proc/self/fd/{descriptor}")
        if not (S_ISCHR(posix.stat(descriptor).st_mode) and name.startswith("/dev/")):
            raise Refused(f"fuse device {path} is not a character device under /dev/", "device")
    return descriptor


def _not_opened(path: str, number: int) -> KernelError:
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        message = f"fuse device {path} not found. Kernel module not loaded?"
    else:
        message = f"failed to open {path}: {posix.strerror(number)}"
    return KernelError(message, number, "device")
