"""
The smallest FUSE server a test needs: a root with one directory, in a process of its own.

A process, because a read of an armed but never mounted device ends only by a signal, and
because servers are there to be killed and stopped.
"""

import errno
import io
import os
import signal
import socket
import stat
import struct

from support import kernel
from support.users import User

LOOKUP, GETATTR, WRITE, STATFS, INIT, DESTROY = 1, 3, 16, 17, 26, 38
FORGET, BATCH_FORGET = 2, 42
IN_HEADER = struct.Struct("=IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, 2 more
OUT_HEADER = struct.Struct("=IiQ")  # length, error, unique
INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")  # major, minor, readahead, flags, ...: 64 bytes
ENTRY_OUT = struct.Struct("=4Q2I")  # node, generation, validity (0: never cached); then the attr
ATTR_OUT = struct.Struct("=QII")  # validity; then the attr
ATTR = struct.Struct("=6Q10I")  # struct fuse_attr
INSIDE = 2, b"inside\0"  # the one directory: node and name
STATFS_OUT_BYTES = 80  # struct fuse_statfs_out
MAX_WRITE = 4096
WRITE_IN = struct.Struct("=QQIIQII")  # handle, offset, size, ...; then the bytes
WRITE_OUT = struct.Struct("=II")  # size


class Peer:
    """
    A server on `device`. `init` is its answer to FUSE_INIT: an errno (0: yes), None: never.

    `statfs` is its answer to STATFS in the same way, `root_mode` is for file mounts. `holding` are
    descriptors it keeps beside the device, like a server that holds its end of the comm socket;
    everything else is closed in it. What is written to its files goes to `written`. `user` is who
    runs it, and may look into it; else root.
    """

    def __init__(
        self,
        device: io.FileIO,
        *,
        init: int | None = 0,
        statfs: int | None = 0,
        root_mode: int = stat.S_IFDIR | 0o755,
        holding: tuple[io.FileIO | socket.socket, ...] = (),
        written: int | None = None,
        user: User | None = None,
    ) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                if user is not None:
                    user.become()
                    kernel.become_dumpable()
                _keep_only({held.fileno() for held in (device, *holding)} | {written or 0})
                _serve(device.fileno(), init, statfs, root_mode, written)
            finally:
                os._exit(0)

    def stop(self) -> None:
        """Hang, from now until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def answer_one_more_lookup(self) -> None:
        """From now on be silent when asked for a name, except once."""
        os.kill(self.pid, signal.SIGUSR1)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Die as by SIGKILL; returns when the process and its descriptors are gone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pid = 0


def _keep_only(descriptors: set[int]) -> None:
    """The forked copy of a comm socket would otherwise keep it open unseen."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in descriptors:
            try:
                os.close(int(name))
            except OSError:
                pass  # the descriptor of the listing itself


def _serve(
    device: int, init: int | None, statfs: int | None, root_mode: int, written: int | None
) -> None:
    lookups: list[None] = []  # that may still be answered, once there is a limit
    is_limited = False

    def limit(*_: object) -> None:
        nonlocal is_limited
        is_limited = True
        lookups.append(None)

    signal.signal(signal.SIGUSR1, limit)
    while True:
        try:
            request = os.read(device, IN_HEADER.size + 0x21000)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EAGAIN):  # interrupted by its sender
                continue
            return  # ENODEV: unmounted
        _, opcode, unique, *_ = IN_HEADER.unpack_from(request)
        error_number = {INIT: init, STATFS: statfs}.get(opcode, 0)
        if opcode in (FORGET, BATCH_FORGET) or error_number is None:
            continue
        if opcode == LOOKUP and is_limited:
            if not lookups:
                continue
            lookups.pop()
        body = b""
        if opcode == WRITE and written is not None:
            size = WRITE_IN.unpack_from(request, IN_HEADER.size)[2]
            os.write(written, request[IN_HEADER.size + WRITE_IN.size :])
            body = WRITE_OUT.pack(size, 0)
        elif not error_number:
            error_number, body = _answer(opcode, request[IN_HEADER.size :], root_mode)
        header = OUT_HEADER.pack(OUT_HEADER.size + len(body), -error_number, unique)
        os.write(device, header + body)


def _answer(opcode: int, arguments: bytes, root_mode: int) -> tuple[int, bytes]:
    if opcode == INIT:
        major, minor, readahead = struct.unpack_from("=III", arguments)
        body = INIT_OUT.pack(major, min(minor, 31), readahead, 0, 8, 6, MAX_WRITE, 1, 1, 0, 0)
        return 0, body
    if opcode == LOOKUP and arguments == INSIDE[1]:
        return 0, ENTRY_OUT.pack(INSIDE[0], 0, 0, 0, 0, 0) + _attributes(root_mode)
    if opcode == GETATTR:
        return 0, ATTR_OUT.pack(0, 0, 0) + _attributes(root_mode)
    if opcode == STATFS:
        return 0, bytes(STATFS_OUT_BYTES)
    if opcode == DESTROY:
        return 0, b""
    return errno.ENOSYS, b""


def _attributes(mode: int) -> bytes:
    times_and_sizes = (1, 0, 0, 0, 0, 0, 0, 0, 0)
    return ATTR.pack(*times_and_sizes, mode, 2, 0, 0, 0, 512, 0)
