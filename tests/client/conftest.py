"""Fixtures for tests of the client: stories told as the caller, and helpers that lie."""

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from support import kernel, story
from support.machine import DEVICE
from support.program import Program
from support.users import User

Answer = TypeVar("Answer")

PRELUDE = """\
#!/usr/bin/python3 -IS
import _socket, os, subprocess, sys, time

comm = _socket.socket(fileno=int(os.environ.get("_FUSE_COMMFD", "3")))
RIGHTS = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)


def send(data, *descriptors):
    packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in descriptors)
    comm.sendmsg([data], [(*RIGHTS, packed)] if packed else [])


class Real:
    # The true helper, with a comm socket of its own; we stand in between.
    def __init__(self):
        self.comm, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        os.dup2(theirs.fileno(), 9)
        variables = {**os.environ, "_FUSE_COMMFD": "9"}
        self.process = subprocess.Popen([HELPER, *sys.argv[1:]], pass_fds=[9], env=variables)
        os.close(9)
        theirs.close()

    def device(self):
        data, ancillary, _, _ = self.comm.recvmsg(4096, 64)
        return int.from_bytes(ancillary[0][2], sys.byteorder)


if "-u" in sys.argv[1:]:
    os.execv(HELPER, ["fusermount3", *sys.argv[1:]])
"""


@pytest.fixture
def tell(caller: User, nothing_left: None, request: pytest.FixtureRequest) -> Callable[..., object]:
    """Run a story as the caller, and look for what it left."""
    # Before pytest would end the test, and longer where the machine is emulated.
    liveness = 0.7 * float(request.config.getini("timeout"))

    def as_caller(function: Callable[..., Answer], *arguments: object) -> Answer:
        return story.tell(caller, function, *arguments, liveness=liveness)

    return as_caller


@pytest.fixture
def liar(home: Path, ours: Program) -> Callable[[str], str]:
    """Write a helper that does as told, with what PRELUDE defines; the answer is its path."""

    def make(code: str) -> str:
        path = home / "liar"
        prelude = PRELUDE.replace("HELPER", repr(ours.path))
        path.write_text(prelude + textwrap.dedent(code), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def synchronous(private_machine: None) -> bool:
    """Whether this kernel has synchronous INIT at all (6.18 and later)."""
    with DEVICE.open("rb", buffering=0) as device:
        return kernel.arm_sync_init(device)


@pytest.fixture
def nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which there is no helper."""
    monkeypatch.setenv("PATH", os.fspath(home))
