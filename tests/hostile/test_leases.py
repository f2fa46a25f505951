"""A lease: who holds one on a file lets others wait before they may open it (fcntl(2))."""

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.flows import refused
from support.program import Program
from support.users import User


@pytest.fixture
def leased(home: Path, caller: User) -> Iterator[Path]:
    """A file of the caller's, on which a process of the caller's has a lease, and keeps it."""
    path = home / "file"
    path.touch()
    os.chown(path, caller.uid, caller.gid)
    ready, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            caller.become()
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            with path.open("rb") as file:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                os.write(telling, b"!")
                signal.pause()
        finally:
            os._exit(0)
    os.close(telling)
    assert b"!" == os.read(ready, 1)
    os.close(ready)
    yield path
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_lease_on_the_mountpoint_makes_no_helper_wait(
    ours: Program, caller: User, leased: Path
) -> None:
    """
    The kernel lets an opener wait for 45 seconds; a helper that waits keeps a place of mount_max.
    """
    result = ours.run("--", leased, user=caller, environment={"_FUSE_PROCEED_TIMEOUT": "4"})

    assert refused(f"failed to open {leased}: Resource temporarily unavailable") == result
