"""
Control groups of a test's own, given to an ordinary user as login sessions and containers are.

    with delegated(caller) as group:
        program.start(..., preexec_fn=group.enter)
        group.freeze()

The machine's own groups are only looked at; what is made here is emptied and removed.
"""

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.flows import until
from support.users import User

_numbers = itertools.count(1)


class Group:
    """One group; ``freeze`` and ``thaw`` are done by the user whose it is."""

    def __init__(self, path: Path, user: User) -> None:
        self.path = path
        self._user = user
        self._is_first_version = not (path / "cgroup.events").exists()
        # A user who is in the group may write here. Root opens it for whoever shall come in.
        self._processes = os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """For a child before its exec."""
        os.write(self._processes, b"0")

    def freeze(self) -> None:
        """Return when everybody in the group stands still."""
        self._write("FROZEN", "1")
        until(self._is_frozen, "a frozen group")

    def thaw(self) -> None:
        self._write("THAWED", "0")

    def kill(self) -> None:
        """Kill everybody in the group, root's processes too, as its user may do from Linux 5.14."""
        self._user.call(lambda: (self.path / "cgroup.kill").write_text("1", "ascii"))

    def processes(self) -> list[int]:
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text("ascii").split()]

    def root_processes(self) -> list[int]:
        """Those of which not one id is an ordinary user's."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"\nUid:\t0\t0\t0\t0\n" in Path(f"/proc/{pid}/status").read_bytes():
                    found.append(pid)
        return found

    def remove(self) -> None:
        """A process that is left moves to the machine's group, where the leak check finds it."""
        if (self.path / ("freezer.state" if self._is_first_version else "cgroup.freeze")).exists():
            self.thaw()
        os.close(self._processes)
        with contextlib.suppress(AssertionError):
            until(lambda: not self.processes(), "an empty group")
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(), "an empty group")
        self.path.rmdir()

    def _write(self, first_version: str, second_version: str) -> None:
        file, word = "cgroup.freeze", second_version
        if self._is_first_version:
            file, word = "freezer.state", first_version
        self._user.call(lambda: (self.path / file).write_text(word, "ascii"))

    def _is_frozen(self) -> bool:
        if self._is_first_version:
            return (self.path / "freezer.state").read_text("ascii") == "FROZEN\n"
        return "frozen 1\n" in (self.path / "cgroup.events").read_text("ascii")


@contextlib.contextmanager
def delegated(user: User, controller: str = "") -> Iterator[Group]:
    """A group of the unified hierarchy, or of a version 1 controller's; skips where it is not."""
    path = _hierarchy(controller) / f"fusermount-test-{os.getpid()}-{next(_numbers)}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"needs a control group of its own: {error}")
    for file in (path, *path.iterdir()):
        os.chown(file, user.uid, user.gid)
    group = Group(path, user)
    try:
        yield group
    finally:
        group.remove()


def _hierarchy(controller: str) -> Path:
    """Where it is mounted."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, path, fstype, options, *_ = line.split(" ")
        if fstype == ("cgroup" if controller else "cgroup2") and (
            not controller or controller in options.split(",")
        ):
            return Path(path)
    return pytest.skip(f"this machine has no control groups of {controller or 'version 2'}")
