"""
An attacker in a mount namespace of his own, older than the mounts that are made while he waits.

There their mountpoints are plain directories, which whoever may write to the parent may exchange.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import kernel
from support.swapper import AT_FDCWD, RENAME_EXCHANGE
from support.users import User


class OlderNamespace:
    """A process of ``user`` that exchanges directories when told to."""

    def __init__(self, user: User) -> None:
        ordered, self._order = os.pipe()
        self._told, tell = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._order)
                kernel.unshare(kernel.CLONE_NEWNS)
                user.become()
                os.write(tell, b".")
                _obey(ordered, tell)
            finally:
                os._exit(1)
        os.close(ordered)
        os.close(tell)
        os.read(self._told, 1)

    @contextmanager
    def exchanging(self, one: Path, other: Path) -> Iterator[None]:
        """Without end, while the block runs."""
        os.write(self._order, b"\0".join((os.fsencode(one), os.fsencode(other))))
        assert b"+" == os.read(self._told, 1), "the directories could not be exchanged"
        try:
            yield
        finally:
            os.write(self._order, b"enough")
            assert b"+" == os.read(self._told, 1)

    def end(self) -> None:
        os.close(self._order)
        os.close(self._told)
        os.waitpid(self._pid, 0)


def _obey(ordered: int, tell: int) -> None:
    swap = ctypes.CDLL(None).renameat2
    while words := os.read(ordered, 1 << 13):
        one, other = words.split(b"\0")
        is_done = swap(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0
        os.write(tell, b"+" if is_done else b"-")
        swapper = os.fork()
        if swapper == 0:
            while is_done:
                is_done = swap(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0
            os._exit(1)
        os.read(ordered, 6)
        os.kill(swapper, signal.SIGKILL)
        os.waitpid(swapper, 0)
        os.write(tell, b"+")
