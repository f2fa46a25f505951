"""
Kernel floor: seats, one for each helper between its mount_max check and its mount.

A seat is one byte of a root-owned file, held by a record lock that is never waited for: a process
that its user has stopped makes nobody wait, and the kernel frees the seat of one that dies. Each
mount namespace has bytes of its own, since mounts are counted in one namespace as well.

The kernel tells whether any byte of a range is held, not how many are. So seats are taken close
together, the highest that is held is found by halving, and says how many there may be. Below it
may be free ones, left by those who went, and somebody may have arranged that: where it matters,
they are looked for, in an order that nobody knows before.
"""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK_FILE = "/run/fusermount3.seats"
_NAMESPACE = "/proc/self/ns/mnt"
_NAMESPACES = 1 << 20  # two that have to share their seats would refuse too soon, never too late
_FROM_START = 0  # linux/fs.h: SEEK_SET, which posix lacks
_SEATS = 1 << 20  # of each namespace. All are within 2^40: some file systems end at 2^42 bytes
_GUESSES = 4
_OPEN_FLAGS = posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC


class Seats:
    """The open lock file; this process holds at most one seat of it."""

    __slots__ = ("_descriptor", "_first", "_seat")

    def __init__(self, descriptor: int, namespace: int) -> None:
        self._descriptor = descriptor
        self._first = namespace % _NAMESPACES * _SEATS
        self._seat: int | None = None

    def take(self, seats: int) -> bool:
        """Take one of the first ``seats`` seats; False when all of them are held."""
        for seat in self._candidates(min(seats, _SEATS)):
            if self._lock(seat):
                self._seat = seat
                return True
        return False

    def held(self, enough: int) -> int:
        """
        How many seats of this namespace are held, the own one among them, or a number above that.

        Exact where it has to be to show that there are no more than ``enough``. Whoever holds a
        seat from before the call until after it has been counted.
        """
        own = -1 if self._seat is None else self._seat
        most = end = self._end(own + 1)
        if most > enough:
            for seat in _in_disorder(end):
                if seat != own and not self._is_held(seat, 1):
                    most -= 1
                    if most <= enough:
                        break
        return most

    def leave(self) -> None:
        """Give the seat back, if one was taken."""
        if self._seat is not None:
            self._seek(self._seat)
            posix.lockf(self._descriptor, posix.F_ULOCK, 1)
            self._seat = None

    def _candidates(self, seats: int) -> "Iterator[int]":
        """
        A few seats that may have been left, then those above all that are held, then every one.

        The few keep the seats close together: two helpers that took turns above each other could
        climb for ever. More would cost most where nearly all are held.
        """
        end = self._end(0)
        left = _in_disorder(min(end, seats))
        for _, seat in zip(range(_GUESSES), left):  # noqa: B905  # the rest is for later
            yield seat
        yield from range(end, seats)
        yield from left

    def _end(self, lowest: int) -> int:
        """The first seat, from ``lowest`` on, such that neither it nor any above it is held."""
        low = end = lowest
        step = 1
        while end < _SEATS and self._is_held(end, _SEATS - end):
            low, end, step = end + 1, min(end + step, _SEATS), 2 * step
        while low < end:
            middle = (low + end) // 2
            if self._is_held(middle, _SEATS - middle):
                low = middle + 1
            else:
                end = middle
        return end

    def _lock(self, seat: int) -> bool:
        self._seek(seat)
        try:
            posix.lockf(self._descriptor, posix.F_TLOCK, 1)
        except OSError:
            return False
        return True

    def _is_held(self, seat: int, length: int) -> bool:
        """Whether another process holds one of so many seats."""
        self._seek(seat)
        try:
            posix.lockf(self._descriptor, posix.F_TEST, length)
        except PermissionError:
            return True
        return False

    def _seek(self, seat: int) -> None:
        posix.lseek(self._descriptor, self._first + seat, _FROM_START)


def _in_disorder(end: int) -> "Iterator[int]":
    """
    Each number from 0 to ``end`` once, ``end`` not among them, in an order nobody knows before.

    Who knew it would leave the free seats where they are looked for last.
    """
    size = 1 << end.bit_length()
    number, factor, summand = (int.from_bytes(posix.urandom(4), "big") for _ in range(3))
    factor += 5 - factor % 8  # with this and an odd summand, a linear congruential generator
    summand |= 1  # comes to every number below a power of two
    for _ in range(size):
        number = (number * factor + summand) % size
        if number < end:
            yield number


def open_seats() -> Seats | None:
    """
    The lock file, for a process that still is root; None where there can be none.

    Without it (a read-only /run, a user namespace) mount_max is checked as ever, but two helpers
    that check at the same instant do not see each other.
    """
    try:
        descriptor = posix.open(_LOCK_FILE, _OPEN_FLAGS, 0o600)
        return Seats(descriptor, posix.stat(_NAMESPACE).st_ino)
    except OSError:
        return None
