"""Real libraries, unchanged, on a device of ours: they gain synchronous INIT."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import pytest

from fusermount_py import client
from support.essential import essential_skip
from support.machine import SITE
from support.mount_table import mounts_at
from support.program import Program
from support.users import User

Tell = Callable[..., object]
CONTENT = b"through a library\n"


def mfusepy_server() -> Callable[[str], object]:
    """A file system of one file; libfuse 3 is asked for because 2 knows no /dev/fd mountpoint."""
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    try:
        import mfusepy
    except (ImportError, OSError):
        essential_skip("needs mfusepy (PyPI) and libfuse 3: run packaging/setup.sh test")
    finally:
        del os.environ["FUSE_LIBRARY_NAME"]

    class OneFile(mfusepy.Operations):  # type: ignore[misc]  # it ships no types
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
            if path == "/file":
                return {"st_mode": stat.S_IFREG | 0o444, "st_nlink": 1, "st_size": len(CONTENT)}
            raise mfusepy.FuseOSError(errno.ENOENT)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return CONTENT[offset : offset + size]

    def serve(device: str) -> None:
        before = os.getcwd()
        mfusepy.FUSE(OneFile(), device, foreground=True, nothreads=True)
        os.chdir(before)  # libfuse goes to /, in the foreground too

    return serve


def pyfuse3_server() -> Callable[[str], object]:
    """A file system of one file."""
    try:
        import pyfuse3
        import trio
    except ImportError:
        essential_skip("needs pyfuse3: apt-get install python3-pyfuse3")

    class OneFile(pyfuse3.Operations):  # type: ignore[misc]  # it ships no types
        async def getattr(self, inode: int, ctx: object = None) -> Any:
            entry = pyfuse3.EntryAttributes()
            entry.st_ino = inode
            is_root = inode == pyfuse3.ROOT_INODE
            entry.st_mode = stat.S_IFDIR | 0o755 if is_root else stat.S_IFREG | 0o444
            entry.st_size = 0 if is_root else len(CONTENT)
            return entry

        async def lookup(self, parent: int, name: bytes, ctx: object = None) -> Any:
            if name == b"file":
                return await self.getattr(2)
            raise pyfuse3.FUSEError(errno.ENOENT)

        async def open(self, inode: int, flags: int, ctx: object) -> Any:
            return pyfuse3.FileInfo(fh=inode)

        async def read(self, handle: int, offset: int, size: int) -> bytes:
            return CONTENT[offset : offset + size]

    def serve(device: str) -> None:
        pyfuse3.init(OneFile(), device, set())
        try:
            trio.run(pyfuse3.main)
        finally:
            pyfuse3.close(unmount=False)

    return serve


SERVERS = {"mfusepy": mfusepy_server, "pyfuse3": pyfuse3_server}


def read_when_there(mountpoint: Path) -> bytes:
    deadline = time.monotonic() + 10
    while not mounts_at(mountpoint) and time.monotonic() < deadline:
        time.sleep(0.005)
    return (mountpoint / "file").read_bytes()


@pytest.mark.parametrize("library", SERVERS)
@pytest.mark.parametrize("sync_init", ["auto", "never"])
def test_a_library_serves_on_a_device_of_ours(
    tell: Tell,
    ours: Program,
    mountpoint: Path,
    library: str,
    sync_init: Literal["auto", "never"],
) -> None:
    """
    Authors have servers for these libraries, and nobody will rewrite them.
    """
    server = SERVERS[library]()  # imported before the story counts what there is

    def story() -> None:
        contents = []

        def look() -> None:
            contents.append(read_when_there(mountpoint))
            client.unmount(mountpoint, helper=ours.path)

        looking = Thread(target=look)
        looking.start()
        client.run_server(
            mountpoint, server, ["fsname=library"], sync_init=sync_init, helper=ours.path
        )
        looking.join()
        assert [CONTENT] == contents
        assert [] == mounts_at(mountpoint)

    tell(story)


def test_a_library_that_fails_before_init_is_an_error_of_its_own(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    What the author's code raises is what the author has to see.
    """

    def server(device: str) -> None:
        assert device.startswith("/dev/fd/")
        raise ZeroDivisionError

    def story() -> None:
        with pytest.raises(ZeroDivisionError):
            client.run_server(mountpoint, server, helper=ours.path)
        assert [] == mounts_at(mountpoint)

    tell(story)


def test_a_library_that_returns_before_init_is_a_mount_error(
    tell: Tell, ours: Program, mountpoint: Path, synchronous: bool
) -> None:
    """
    Libfuse prints why and returns; the caller must not take that for a mount that is over.
    """
    if not synchronous:
        pytest.skip("needs synchronous INIT: without it the mount is there before the server is")

    def story() -> None:
        with pytest.raises(client.MountError, match="ended before it was mounted"):
            client.run_server(mountpoint, lambda _device: None, helper=ours.path)
        assert [] == mounts_at(mountpoint)

    tell(story)


def test_no_server_is_called_for_a_mount_that_is_refused(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A library that opens a device which is not there prints a page of its own.
    """

    def story() -> None:
        called: list[str] = []
        with pytest.raises(client.MountRefused):
            client.run_server(mountpoint, called.append, ["allow_other"], helper=ours.path)
        assert [] == called

    tell(story)


PROGRAM = """
import os, sys
sys.path.insert(0, {site!r})
from fusermount_py.hello import Hello

class Ready:
    def worker_ready(self):
        pass

Hello(int(sys.argv[1].removeprefix("/dev/fd/"))).serve(Ready())
sys.exit(7)
"""


def start_command(
    caller: User, ours: Program, mountpoint: Path, *command: str
) -> "subprocess.Popen[str]":
    """The command line, as the caller, with our helper on PATH."""
    path = f"{Path(ours.path).parent}:/usr/bin:/bin"
    return subprocess.Popen(
        [sys.executable, "-m", "fusermount_py.client", mountpoint, "-o", "ro", "--", *command],
        cwd="/",
        env={"PATH": path, "PYTHONPATH": os.fspath(SITE)},
        stderr=subprocess.PIPE,
        text=True,
        user=caller.uid,
        group=caller.gid,
        extra_groups=[],
    )


@pytest.mark.parametrize("ending", ["unmount", "SIGTERM", "SIGINT"])
def test_a_program_is_mounted_from_a_command_line(
    caller: User, ours: Program, mountpoint: Path, ending: str
) -> None:
    """
    Not every server is Python, and not every user writes code.
    """
    code = PROGRAM.format(site=os.fspath(SITE))
    command = start_command(caller, ours, mountpoint, sys.executable, "-c", code, "{device}")
    deadline = time.monotonic() + 10
    while not mounts_at(mountpoint) and time.monotonic() < deadline:
        time.sleep(0.01)
    content = caller.call((mountpoint / "hello").read_bytes)
    if ending == "unmount":
        ours.unmount(mountpoint, user=caller)
    else:
        command.send_signal(getattr(signal, ending))
    _, said = command.communicate(timeout=20)

    assert b"Hello" in content
    assert "" == said
    assert (7 if ending == "unmount" else 130) == command.returncode
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("/bin/false", "{device}"), "a worker failed: /bin/false ended with status 1"),
        (("/missing", "{device}"), "a worker failed: [Errno 2] No such file"),
    ],
)
def test_a_program_that_does_not_come_up_is_one_line_and_status_1(
    caller: User, ours: Program, mountpoint: Path, command: tuple[str, ...], sentence: str
) -> None:
    """
    A boot script has nothing but this to decide by.
    """
    running = start_command(caller, ours, mountpoint, *command)
    _, said = running.communicate(timeout=20)

    assert 1 == running.returncode
    assert said.startswith(f"fusermount_py.client: {sentence}")
    assert 1 == said.count("\n")
    assert [] == mounts_at(mountpoint)


def test_a_program_that_ends_while_it_is_mounted_is_told(
    caller: User, ours: Program, mountpoint: Path
) -> None:
    """
    A server that crashed must not look like one that somebody has unmounted.
    """
    dying = "import os, threading; threading.Timer(0.5, os.kill, (os.getpid(), 9)).start()\n"
    code = dying + PROGRAM.format(site=os.fspath(SITE))
    command = start_command(caller, ours, mountpoint, sys.executable, "-c", code, "{device}")
    _, said = command.communicate(timeout=20)

    assert 137 == command.returncode
    assert said.startswith("fusermount_py.client: a worker failed: ")
    assert said.endswith("ended with status -9\n")
    assert [] == mounts_at(mountpoint)


def test_a_command_without_a_place_for_the_device_is_a_usage_error(
    caller: User, ours: Program, mountpoint: Path
) -> None:
    """
    It would be started, serve nothing, and keep the mount waiting.
    """
    running = start_command(caller, ours, mountpoint, "/bin/true")
    _, said = running.communicate(timeout=20)

    assert 2 == running.returncode
    assert "{device}" in said
