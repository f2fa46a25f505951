"""
Starting one program and stopping the time: everything here runs as the ordinary user who mounts.

posix_spawn, because fork would have us pay for the size of this process, every time.
"""

import io
import os
import socket
import threading
import time
from pathlib import Path
from typing import NamedTuple

from support import kernel
from support.peer import IN_HEADER, INIT_OUT, MAX_WRITE, OUT_HEADER

BARE = ("/usr/bin/python3", "-I", "-S", "-B", "-c", "pass")  # what no helper in Python can avoid
OPTIONS = ("-o", "fsname=bench,subtype=bench")


class Helper(NamedTuple):
    """A fusermount3: ours, or the C program."""

    name: str
    path: str


class Mounted(NamedTuple):
    """One mount, how long it took to get it, and what keeps it alive."""

    seconds: float
    device: io.FileIO
    comm: socket.socket
    pid: int

    def let_go(self) -> None:
        """As a server's end does it."""
        self.device.close()
        self.comm.close()


def start(path: str, *words: str, comm: socket.socket | None = None) -> int:
    """Start it with `words` behind its name and nothing else but the comm socket; its pid."""
    environment = {"_FUSE_COMMFD": str(comm.fileno())} if comm else {}
    discard = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    return os.posix_spawn(path, (path, *words), environment, file_actions=discard)


def finish(pid: int, expected: int = 0) -> None:
    _, status = os.waitpid(pid, 0)
    assert expected == os.waitstatus_to_exitcode(status), f"exit status {status >> 8}"


def bare() -> float:
    """Seconds from spawn to exit of the interpreter alone."""
    begin = time.perf_counter()
    finish(start(*BARE))
    return time.perf_counter() - begin


def answer(helper: Helper, option: str) -> float:
    """Seconds from spawn to exit of --version (exit status 0) or --help (1)."""
    begin = time.perf_counter()
    finish(start(helper.path, option), expected=int(option == "--help"))
    return time.perf_counter() - begin


def unmount(helper: Helper, mountpoint: Path) -> float:
    begin = time.perf_counter()
    finish(start(helper.path, "-u", "-z", "--", str(mountpoint)))
    return time.perf_counter() - begin


def mount_classic(helper: Helper, mountpoint: Path, options: tuple[str, ...] = OPTIONS) -> Mounted:
    """Seconds from spawn to the received device. The helper's exit is not waited for."""
    ours, theirs = _socket_pair()
    begin = time.perf_counter()
    pid = start(helper.path, *options, "--", str(mountpoint), comm=theirs)
    theirs.close()
    device = _receive_device(ours)
    return Mounted(time.perf_counter() - begin, device, ours, pid)


def mount_sync_init(helper: Helper, mountpoint: Path) -> Mounted:
    """Seconds from spawn to status 0, by way of a server that answers FUSE_INIT at once."""
    ours, theirs = _socket_pair()
    begin = time.perf_counter()
    pid = start(helper.path, "--sync-init", *OPTIONS, "--", str(mountpoint), comm=theirs)
    theirs.close()
    device = _receive_device(ours)
    kernel.arm_sync_init(device)
    server = threading.Thread(target=answer_init, args=(device,))
    server.start()
    ours.send(b"\0")
    status = ours.recv(4)
    seconds = time.perf_counter() - begin
    assert bytes(4) == status
    server.join()
    return Mounted(seconds, device, ours, pid)


def has_sync_init(helper: Helper) -> bool:
    """Whether its usage knows the option; libfuse before 3.19 does not."""
    reader, writer = os.pipe()
    pid = os.posix_spawn(
        helper.path, (helper.path, "-h"), {}, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)]
    )
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as usage:
        found = "--sync-init" in usage.read()
    os.waitpid(pid, 0)
    return found


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    return ours, theirs


def _receive_device(comm: socket.socket) -> io.FileIO:
    _, descriptors, _, _ = socket.recv_fds(comm, 1, 1)
    assert descriptors, "the helper sent no device"
    return io.FileIO(descriptors[0], "r+")


def answer_init(device: io.FileIO) -> None:
    request = os.read(device.fileno(), IN_HEADER.size + 0x21000)
    _, _, unique, *_ = IN_HEADER.unpack_from(request)
    body = INIT_OUT.pack(7, 31, 0, 0, 8, 6, MAX_WRITE, 1, 1, 0, 0)
    os.write(device.fileno(), OUT_HEADER.pack(OUT_HEADER.size + len(body), 0, unique) + body)
