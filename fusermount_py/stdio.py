"""
Descriptors 0, 1 and 2: put in their place, and kept free of what does not belong there.

A server may be started with some of them closed; the next pipe or socket then gets such a number,
and whoever writes to "stderr" writes into it.
"""

from __future__ import annotations

import fcntl
import os
import sys

_FIRST_FREE = 3


def clear_of_stdio(descriptor: int) -> int:
    """The same open file under a number above the standard ones; the old number is closed."""
    if descriptor >= _FIRST_FREE:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(descriptor)


def pipe() -> tuple[int, int]:
    """os.pipe(), clear of stdio."""
    reader, writer = os.pipe()
    return clear_of_stdio(reader), clear_of_stdio(writer)


def to_null(*numbers: int) -> None:
    """Point standard descriptors at /dev/null; programs started later inherit that."""
    null = clear_of_stdio(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
    for number in numbers:
        os.dup2(null, number, inheritable=True)
    os.close(null)


def say(message: str) -> None:
    """One line on stderr, if there is one."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"{message}\n")
        except (OSError, ValueError):
            return
        flush()


def flush() -> None:
    """Write out what Python holds back, or both processes would write it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
