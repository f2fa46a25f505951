"""A user's own user and mount namespace, and a tree of the user's in it: the attacker's ground."""

import ctypes
import os
import signal
from pathlib import Path
from typing import Self

from support import kernel
from support.users import User

FSCONFIG_CMD_CREATE = 6
SYS_MOVE_MOUNT, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 429, 430, 431, 432
MOVE_MOUNT_F_EMPTY_PATH = 0x4
AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)


class ForeignNamespace:
    """
    While the block runs, a process of `user` lives in namespaces of its own with a new tmpfs.

    The tmpfs is detached, mounted nowhere, until `attach`; it holds one directory, `sub`. Both can
    be reached from outside by the process's descriptors: `tree`, `sub`.
    """

    def __init__(self, user: User, place: Path) -> None:
        """`place`: the directory that `attach` covers with the tree, in that namespace alone."""
        self._user = user
        self._place = place
        self._pid = 0

    def __enter__(self) -> Self:
        told, telling = os.pipe()
        asked, asking = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(told)
                os.close(asking)
                self._live(asked, telling)
            finally:
                os._exit(1)
        os.close(telling)
        os.close(asked)
        self._told, self._asking = told, asking
        self._number = int(os.read(told, 16) or b"-1")
        assert self._number >= 0, "the user could not make a tree"
        return self

    def __exit__(self, *error: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._told)
        os.close(self._asking)

    @property
    def pid(self) -> int:
        """The process that lives there."""
        return self._pid

    @property
    def tree(self) -> Path:
        return Path(f"/proc/{self._pid}/fd/{self._number}")

    @property
    def sub(self) -> Path:
        return self.tree / "sub"

    def attach(self) -> None:
        """From here on, the tree is mounted in the user's namespace, at `place`."""
        os.write(self._asking, b"!")
        assert os.read(self._told, 1) == b"!", "the tree could not be attached"

    def take_nodev_off(self) -> bool:
        """The namespace's owner tries to remount what is mounted at `sub` with devices."""
        os.write(self._asking, b"d")
        return os.read(self._told, 1) == b"!"

    def mounted_types(self) -> list[str]:
        """The types of what is mounted at `place` and below, in the user's namespace."""
        table = Path(f"/proc/{self._pid}/mountinfo").read_text(encoding="utf-8")
        lines = [line.split() for line in table.splitlines()]
        inside = [words for words in lines if words[4].startswith(str(self._place))]
        return [words[words.index("-") + 1] for words in inside]

    def _live(self, asked: int, telling: int) -> None:
        user = self._user
        user.become()
        kernel.become_dumpable()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user.uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {user.gid} 1", encoding="ascii")
        context = _call(SYS_FSOPEN, b"tmpfs", 0)
        _call(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        tree = _call(SYS_FSMOUNT, context, 0, 0)
        os.mkdir("sub", dir_fd=tree)
        os.write(telling, b"%d" % tree)
        while word := os.read(asked, 1):
            try:
                self._attach(tree) if word == b"!" else self._remount()
                os.write(telling, b"!")
            except OSError:
                os.write(telling, b"?")

    def _attach(self, tree: int) -> None:
        place = os.fsencode(self._place)
        _call(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH)

    def _remount(self) -> None:
        with_devices = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NOSUID
        kernel.mount("none", self._place / "sub", flags=with_devices)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(number))
    return result
