"""
The FUSE device as the client holds it: from the helper's message to the last reader.

Armed for synchronous INIT, a device is dangerous until the kernel has attached it to a connection:
read, poll and epoll_ctl on it block inside the kernel, and closing it wakes nobody (kernel.md, "The
device"). From the attachment on, the end of the connection wakes every reader with ENODEV. Hence
connection(): the one question about a device that never blocks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat

_SYNC_INIT = 0xE503  # linux/fuse.h: FUSE_DEV_IOC_SYNC_INIT
_NUMBER = os.makedev(10, 229)  # admin-guide/devices.txt: misc, fuse


class Device:
    """
    One open FUSE device; its number stays ours until nobody can be reading it any more.

    Closing a descriptor while a thread is on its way to read it would let that thread read whatever
    is opened next under the same number. end() therefore first puts an end of file in its place.
    """

    __slots__ = ("_ended", "armed", "descriptor")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.armed = False
        self._ended = False

    def arm(self) -> bool:
        """Ask for synchronous INIT; False if this kernel has none (before 6.18)."""
        try:
            fcntl.ioctl(self.descriptor, _SYNC_INIT)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                return False
            raise
        self.armed = True
        return True

    def connection(self) -> int | None:
        """
        The number of its connection, which is the minor number of the mount's device, too.

        None while the kernel has not attached it, and always on kernels that do not show it.
        """
        return connection_of(self.descriptor)

    def is_attached(self) -> bool | None:
        """Whether a mount is behind it; None if that cannot be read (no /proc, no descriptor)."""
        if not self.armed:
            return not self.disconnected(0.0)
        try:
            return _read_connection(self.descriptor) is not None
        except OSError:
            return None

    def disconnected(self, seconds: float | None) -> bool:
        """Wait for the end of the connection of an attached device; False if time ran out."""
        if self._ended:
            return True
        poll = select.poll()
        # Requests wake this poll inside the kernel only: POLLERR is all that is asked for.
        poll.register(self.descriptor, 0)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def end(self) -> None:
        """Close the device itself, and keep its number: from now on it reads as end of file."""
        if self._ended:
            return
        try:
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # no descriptor left: better no number than a mount
            self.close()
            return
        os.dup2(nothing, self.descriptor, inheritable=False)
        os.close(nothing)
        self._ended = True

    def close(self) -> None:
        """Give the number back; only when no thread can be on its way to read it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            self._ended = True

    def __del__(self) -> None:
        self.close()


def connection_of(descriptor: int) -> int | None:
    """The number of an open FUSE device's connection; None where there is none to be seen."""
    try:
        return _read_connection(descriptor)
    except OSError:
        return None


def _read_connection(descriptor: int) -> int | None:
    with open(f"/proc/self/fdinfo/{descriptor}", "rb", buffering=0) as file:
        number = file.read(4096).partition(b"fuse_connection:")[2].split(None, 1)
    return int(number[0]) if number else None


def wake_blocked_readers() -> None:
    """
    End the reads, polls and epoll_ctls of threads that did not wait for worker_ready().

    Only a signal wakes them. Setting the ids to what they are makes the C library run that in every
    thread (nptl(7)), with a signal of its own that restarts what it interrupts; and what is
    restarted finds the end of file that end() has put there. Nothing is set, no handler replaced.
    """
    if any(_blocks_in_device(thread) for thread in os.listdir("/proc/self/task")):
        os.setresuid(-1, -1, -1)


def _blocks_in_device(thread: str) -> bool:
    try:
        with open(f"/proc/self/task/{thread}/wchan", "rb", buffering=0) as file:
            place = file.read(256)
    except OSError:  # it has just ended
        return False
    # fs/fuse/dev.c: where an armed device waits for its mount; or what that was inlined into.
    return place.startswith((b"fuse_get_dev", b"fuse_dev_read", b"fuse_dev_poll"))


def is_fuse(descriptor: int) -> bool:
    """Whether an fd that somebody sent is really an open FUSE device."""
    status = os.fstat(descriptor)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NUMBER
