"""
Two names that change places as fast as the kernel lets them: the attacker's half of a race.

Links, files, directories, and, from a mount namespace in which they are none, mountpoints.
"""

import ctypes
import os
import signal
from pathlib import Path
from typing import Self

from support import kernel
from support.users import User

RENAME_EXCHANGE = 2
AT_FDCWD = -100


def exchange(one: Path, other: Path) -> None:
    """Let the two names change places, once."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2", one, None, other)


class Swapper:
    """
    While the block runs, a process of `user` exchanges `one` and `other` without end.

    It does so in the mount namespace of the process `within`, if one is given: whoever renames a
    mountpoint of the own namespace is told EBUSY.
    """

    def __init__(self, one: Path, other: Path, user: User, within: int | None = None) -> None:
        self._names = os.fsencode(one), os.fsencode(other)
        self._user = user
        self._within = within
        self._pid = 0

    def __enter__(self) -> Self:
        self._pid = os.fork()
        if self._pid == 0:
            try:
                if self._within is not None:
                    kernel.setns(self._within)
                self._user.become()
                swap = ctypes.CDLL(None).renameat2
                one, other = self._names
                while swap(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0:
                    pass
            finally:
                os._exit(1)
        return self

    def __exit__(self, *error: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        assert os.WIFSIGNALED(status), "there was no race: the names could not be exchanged"
