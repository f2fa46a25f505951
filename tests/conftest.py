"""Fixtures for every test: see tests/README.md."""

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import leaks, machine
from support.essential import essential_skip
from support.mount_table import mounts
from support.program import Program
from support.users import ANOTHER_USER, CALLER, User

_numbers = itertools.count(1)
# A shell starts what it puts in the background with SIGINT ignored, and so would be every program
# that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def private_machine() -> None:
    """Mounts, /run, /dev/fuse and /etc of our own, from the first test that asks."""
    machine.make_private()


@pytest.fixture(scope="session")
def installed_helper(private_machine: None) -> str:
    return str(machine.install())


@pytest.fixture
def nothing_left(private_machine: None) -> Iterator[None]:
    """Clean up after the test, and fail it if it left what only the machine's owner can find."""
    before = mounts()
    yield
    left = leaks.processes_left()
    leaks.take_mounts_below_scratch()
    left += leaks.mounts_left(before) + leaks.setuid_files_left()
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def ours(nothing_left: None, installed_helper: str) -> Iterator[Program]:
    program = Program(installed_helper)
    yield program
    program.clean_up()


@pytest.fixture
def theirs(nothing_left: None) -> Iterator[Program]:
    if not Path("/usr/bin/fusermount3").exists():
        essential_skip("needs Debian's fusermount3: apt-get install fuse3")
    program = Program("/usr/bin/fusermount3")
    yield program
    program.clean_up()


@pytest.fixture(params=["ours", "theirs"])
def helper(request: pytest.FixtureRequest) -> Program:
    """Both programs in turn: what holds for one must hold for the other."""
    program = request.getfixturevalue(request.param)
    assert isinstance(program, Program)
    return program


@pytest.fixture
def caller() -> User:
    return CALLER


@pytest.fixture
def another_user() -> User:
    return ANOTHER_USER


@pytest.fixture
def home(nothing_left: None, caller: User) -> Iterator[Path]:
    """A fresh directory that the caller owns."""
    path = machine.SCRATCH / f"home-{next(_numbers)}"
    path.mkdir()
    os.chown(path, caller.uid, caller.gid)
    yield path
    leaks.take_mounts_below_scratch()
    shutil.rmtree(path)


@pytest.fixture
def mountpoint(home: Path, caller: User) -> Path:
    """A fresh directory in `home`, so that the caller owns its parent, too."""
    path = home / "mountpoint"
    path.mkdir()
    os.chown(path, caller.uid, caller.gid)
    return path


@pytest.fixture
def fuse_conf(nothing_left: None) -> Iterator[Callable[..., None]]:
    """Writes /etc/fuse.conf for one test; otherwise it is empty."""
    yield machine.write_fuse_conf
    machine.write_fuse_conf("")


@pytest.fixture
def utab(nothing_left: None) -> Iterator[Path]:
    """util-linux's table, empty, as a machine has on which a program like udisks runs."""
    table = Path("/run/mount/utab")
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(b"")
    yield table
    shutil.rmtree(table.parent)
