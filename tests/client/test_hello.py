"""The example server as users run it: in the background, in the foreground, under systemd."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusermount_py import hello
from support.machine import SITE
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(ours: Program, caller: User, mountpoint: Path) -> Start:
    """Start the program as the caller, with our helper on PATH."""

    def start_it(*arguments: str, helper: str = ours.path, **popen: Any) -> Any:
        environment = {"PATH": f"{Path(helper).parent}:/bin", "PYTHONPATH": os.fspath(SITE)}
        return subprocess.Popen(
            [sys.executable, "-m", "fusermount_py.hello", mountpoint, *arguments],
            env=environment | popen.pop("env", {}),
            cwd=mountpoint.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=caller.uid,
            group=caller.gid,
            extra_groups=[],
            **popen,
        )

    return start_it


@pytest.mark.parametrize("program", ["ours", "theirs"])
def test_the_prompt_comes_back_when_the_file_system_answers(
    start: Start,
    caller: User,
    mountpoint: Path,
    program: str,
    request: pytest.FixtureRequest,
) -> None:
    """
    The next command of a script uses the files; nobody should have to write "sleep 1".
    """
    helper: Program = request.getfixturevalue(program)
    shell = start(helper=helper.path)
    out, error = shell.communicate(timeout=20)
    entry = mount_at(mountpoint)
    files = caller.call(os.listdir, mountpoint)
    content = caller.call((mountpoint / "hello").read_bytes)
    helper.unmount(mountpoint, user=caller)

    assert (0, "", "") == (shell.returncode, out, error)
    assert ("fuse.hello", b"hello") == (entry.fstype, entry.source)
    assert {"hello", "handshake"} == set(files)
    assert b"Hello from a file system in plain Python.\n" == content


def test_a_file_system_that_does_not_come_up_is_a_sentence_and_status_1(
    start: Start, mountpoint: Path
) -> None:
    """
    The child has a terminal no more; what it knows must come from the parent.
    """
    shell = start("-o", "allow_other")
    out, error = shell.communicate(timeout=20)

    assert (1, "") == (shell.returncode, out)
    assert (
        "hello: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n"
        == error
    )
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_under_systemd_it_tells_when_it_is_up_and_unmounts_at_the_end(
    start: Start, home: Path, caller: User, mountpoint: Path, end: signal.Signals
) -> None:
    """
    Units that need the files are started on READY=1; "systemctl stop" sends SIGTERM.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(f"{home}/notify")
        os.chmod(f"{home}/notify", 0o666)
        server = start("-f", env={"NOTIFY_SOCKET": f"{home}/notify"})
        ready = manager.recv(4096).decode()
        content = caller.call((mountpoint / "hello").read_bytes)
        server.send_signal(end)
        out, error = server.communicate(timeout=20)

    assert f"READY=1\nMAINPID={server.pid}" == ready
    assert content.startswith(b"Hello")
    assert (0, "", "") == (server.returncode, out, error)
    assert [] == mounts_at(mountpoint)


class SlowServer(hello.Hello):
    """Answers FUSE_INIT when a file appears, and until then tells that it was asked."""

    def __init__(self, device: int) -> None:
        super().__init__(device)

    def _init(self, node: int, body: bytes) -> bytes:
        Path("asked").touch()
        while not Path("answer").exists():
            time.sleep(0.005)
        return super()._init(node, body)


@pytest.mark.parametrize("program", ["ours", "theirs"])
def test_a_shell_killed_while_it_waits_leaves_no_mount(
    ours: Program,
    caller: User,
    home: Path,
    mountpoint: Path,
    program: str,
    request: pytest.FixtureRequest,
) -> None:
    """
    The user closed the terminal because it hung; nothing may come up, or stay, behind it.
    """
    helper: Program = request.getfixturevalue(program)
    code = (
        "import sys, os; os.chdir('..'); from fusermount_py import daemonize, hello;"
        "daemonize.NO_CHDIR; sys.path.insert(0, sys.argv.pop());"
        "import test_hello; hello.Hello = test_hello.SlowServer;"
        "real = daemonize.start; daemonize.start = lambda flags: real(flags | daemonize.NO_CHDIR);"
        "sys.exit(hello.main())"
    )
    folder = os.fspath(Path(__file__).parent)
    shell = subprocess.Popen(
        [sys.executable, "-c", code, mountpoint, folder],
        env={
            "PATH": f"{Path(helper.path).parent}:/bin",
            "PYTHONPATH": f"{SITE}:{Path(__file__).parents[1]}",
        },
        cwd=mountpoint,
        user=caller.uid,
        group=caller.gid,
        extra_groups=[],
    )
    deadline = time.monotonic() + 20
    while not (home / "asked").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    shell.kill()
    shell.wait()
    while mounts_at(mountpoint) and time.monotonic() < deadline:
        time.sleep(0.005)

    assert (home / "asked").exists()
    assert [] == mounts_at(mountpoint)


def test_it_is_read_only_and_says_so(
    start: Start, caller: User, ours: Program, mountpoint: Path
) -> None:
    """
    The example must not teach a server that lies about what it can do.
    """
    start().communicate(timeout=20)
    path = mountpoint / "hello"
    status = caller.call(os.stat, path)
    with pytest.raises(OSError, match="Read-only file system"):
        caller.call(lambda: path.open("w"))
    with pytest.raises(FileNotFoundError):
        caller.call(os.stat, mountpoint / "missing")
    with path.open("rb") if os.getuid() == caller.uid else open(os.devnull, "rb"):
        pass
    part = caller.call(lambda: os.pread(os.open(path, os.O_RDONLY), 4, 6))
    names = caller.call(lambda: os.statvfs(mountpoint).f_namemax)
    ours.unmount(mountpoint, user=caller)

    assert (stat.S_IFREG | 0o444, 42, caller.uid) == (status.st_mode, status.st_size, status.st_uid)
    assert b"from" == part
    assert 255 == names


def test_the_example_is_short() -> None:
    """
    It is read before anything else, by people who want to write such a server themselves.
    """
    assert Path(hello.__file__).read_text(encoding="utf-8").count("\n") < 250
