"""
Kernel floor: seats, one for each helper between its mount_max check and its mount.

A seat is one byte of a root-owned file, held by a record lock that is never waited for: a process
that its user has stopped makes nobody wait, and the kernel frees the seat of one that dies.
"""

import posix

_LOCK_FILE = "/run/fusermount3.seats"
_FROM_START = 0  # linux/fs.h: SEEK_SET, which posix lacks
_SEATS = 1 << 31
_OPEN_FLAGS = posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC


class Seats:
    """The open lock file; this process holds at most one seat of it."""

    __slots__ = ("_descriptor", "_seat")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seat: int | None = None

    def take(self, seats: int) -> bool:
        """Take the lowest free of the first ``seats`` seats; False when all of them are held."""
        for seat in range(min(seats, _SEATS)):
            posix.lseek(self._descriptor, seat, _FROM_START)
            try:
                posix.lockf(self._descriptor, posix.F_TLOCK, 1)
            except OSError:
                continue
            self._seat = seat
            return True
        return False

    def held_by_others(self) -> int:
        """How many seats other processes hold, wherever they are."""
        return self._count(0, _SEATS)

    def leave(self) -> None:
        """Give the seat back, if one was taken."""
        if self._seat is not None:
            posix.lseek(self._descriptor, self._seat, _FROM_START)
            posix.lockf(self._descriptor, posix.F_ULOCK, 1)
            self._seat = None

    def _count(self, first: int, length: int) -> int:
        """Halve the range until each half is free of others' locks or one seat."""
        posix.lseek(self._descriptor, first, _FROM_START)
        try:
            posix.lockf(self._descriptor, posix.F_TEST, length)
        except OSError:
            if length == 1:
                return 1
            half = length // 2
            return self._count(first, half) + self._count(first + half, length - half)
        return 0


def open_seats() -> Seats | None:
    """
    The lock file, for a process that still is root; None where there can be none.

    Without it (a read-only /run, a user namespace) mount_max is checked as ever, but two helpers
    that check at the same instant do not see each other.
    """
    try:
        return Seats(posix.open(_LOCK_FILE, _OPEN_FLAGS, 0o600))
    except OSError:
        return None
