"""
Seats held without helpers: the locks alone, of thousands that wait.

    with held(range(4000)): ...        # as by 4,000 helpers of this mount namespace

Locks of one process would merge to one; those of open file descriptions are as many as there are,
and stand in the kernel's list, and in everybody's way, just as those of processes do.
"""

import fcntl
import os
import resource
import signal
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = Path("/run/fusermount3.seats")
PER_NAMESPACE = 1 << 20
_LOCK = "hhqqi4x"  # struct flock of 64-bit machines: type, whence, start, length, pid


def first_seat() -> int:
    """Where in the file the seats of our own mount namespace begin."""
    return os.stat("/proc/self/ns/mnt").st_ino % PER_NAMESPACE * PER_NAMESPACE


@contextmanager
def held(seats: Collection[int]) -> Iterator[None]:
    """
    These seats of our own mount namespace are held until the block is left.

    By a process of its own: whatever is started by one with thousands of open files starts late.
    """
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        try:
            _hold(seats)
            os.write(writer, b"\0")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 1), "the seats cannot be held"
        yield
    finally:
        os.close(reader)
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)


def taken() -> list[int]:
    """Those of our own mount namespace that are held, in their order."""
    first = first_seat()
    found = []
    with open(FILE, "rb") as file:
        ranges = [(first, PER_NAMESPACE)]
        while ranges:
            start, length = ranges.pop()
            asked = struct.pack(_LOCK, fcntl.F_RDLCK, os.SEEK_SET, start, length, 0)
            kind, _, seat, _, _ = struct.unpack(_LOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
            if kind != fcntl.F_UNLCK:
                found.append(seat - first)
                parts = ((start, seat), (seat + 1, start + length))
                ranges += [(begin, end - begin) for begin, end in parts if begin < end]
    return sorted(found)


def _hold(seats: Collection[int]) -> None:
    files = len(seats) + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    first = first_seat()
    for seat in seats:
        file = os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        lock = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, first + seat, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
