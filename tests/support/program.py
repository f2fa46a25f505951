"""
Running a fusermount3, ours or theirs, as a FUSE library would.

    running = program.start("--sync-init", "--", mountpoint, user=caller)
    device = running.receive_device()
    running.proceed()
    assert 0 == running.read_status()
    assert (0, b"", b"") == running.wait()[:3]
"""

import array
import fcntl
import io
import signal
import socket
import struct
import subprocess
from typing import Any, NamedTuple

from support.peer import Peer
from support.users import PathLike, User

PATIENCE = 20  # seconds: a liveness bound for everything waited for, never a measurement


class Result(NamedTuple):
    """What a finished program leaves its caller."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    device: io.FileIO | None = None  # received by Program.mount


class Message(NamedTuple):
    """What came over the comm socket at once."""

    payload: bytes
    descriptors: tuple[io.FileIO, ...]


END_OF_FILE = Message(b"", ())


class Running:
    """One started program, and our end of its comm socket."""

    def __init__(self, process: "subprocess.Popen[bytes]", comm: socket.socket | None) -> None:
        self.process = process
        self._comm = comm
        self._received: list[io.FileIO] = []

    @property
    def comm(self) -> socket.socket:
        assert self._comm is not None, "started without a comm socket"
        return self._comm

    def receive(self) -> Message:
        """The next message of the helper; END_OF_FILE when it closed its end."""
        space = socket.CMSG_SPACE(4 * array.array("i").itemsize)
        payload, control, _, _ = self.comm.recvmsg(4096, space, socket.MSG_CMSG_CLOEXEC)
        numbers = array.array("i")
        for level, kind, content in control:
            assert (socket.SOL_SOCKET, socket.SCM_RIGHTS) == (level, kind)
            numbers.frombytes(content)
        descriptors = tuple(io.FileIO(number, "r+") for number in numbers)
        self._received += descriptors
        return Message(payload, descriptors)

    def receive_device(self) -> io.FileIO:
        """The device, from a message of one zero byte and exactly one descriptor."""
        message = self.receive()
        assert message != END_OF_FILE, self.wait()
        assert (b"\0", 1) == (message.payload, len(message.descriptors)), message
        return message.descriptors[0]

    def proceed(self, byte: bytes = b"\0") -> None:
        self.comm.send(byte)

    def read_status(self) -> int:
        """The 32-bit status of a sync-init mount: 0 or -errno."""
        payload, descriptors = self.receive()
        assert (4, ()) == (len(payload), descriptors), payload
        (status,) = struct.unpack("=i", payload)
        return int(status)

    def wait(self) -> Result:
        """Wait for its exit, and for the end of its stdout and stderr."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        return Result(self.process.returncode, stdout, stderr)

    def clean_up(self) -> None:
        """
        What a client's death does: everything it held is closed. The helper ends of that.

        One that does not is left running, for the leak check to find.
        """
        for held in (self._comm, *self._received, self.process.stdout, self.process.stderr):
            if held is not None:
                held.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.returncode = -signal.SIGKILL  # which the leak check will see to


class Program:
    """A fusermount3 at `path`. Everything started is cleaned up after the test."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._started: list[Running] = []
        self._peers: list[Peer] = []

    def start(  # each is an ordinary way in which callers differ
        self,
        *arguments: PathLike,
        user: User,
        argv0: PathLike = "fusermount3",
        environment: dict[str, str] | None = None,
        comm: socket.SocketKind | None = socket.SOCK_STREAM,
        comm_fd: int | None = None,
        **popen: Any,  # passed on to subprocess.Popen
    ) -> Running:
        """
        Start it as `user` with exactly this argv and environment, and a comm socket pair.

        `comm_fd` asks for a certain number of the helper's end; `comm=None`: no socket.
        """
        ours, theirs = _socket_pair(comm, comm_fd)
        number = {"_FUSE_COMMFD": str(theirs.fileno())} if theirs else {}
        process = subprocess.Popen(  # with user=, Popen does what login does
            [argv0, *arguments],
            executable=self.path,
            user=user.uid,
            group=user.gid,
            extra_groups=user.groups,
            env=number | (environment or {}),
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "pass_fds": [theirs.fileno()] if theirs else [],
                **popen,
            },
        )
        if theirs:
            theirs.close()
        running = Running(process, ours)
        self._started.append(running)
        return running

    def run(self, *arguments: PathLike, user: User, **how: Any) -> Result:
        """Start it and wait for its exit."""
        return self.start(*arguments, user=user, **how).wait()

    def mount(self, mountpoint: PathLike, options: str | bytes = b"", **how: Any) -> Result:
        """A classic mount, by the command line of libfuse; `result.device` if it succeeded."""
        words = ("-o", options) if options else ()
        running = self.start(*words, "--", mountpoint, **how)
        result = running.wait()
        device = running.receive_device() if result.exit_status == 0 else None
        return result._replace(device=device)

    def start_sync_init(
        self,
        mountpoint: PathLike,
        options: str | bytes = b"",
        **how: Any,
    ) -> Running:
        """The first half of a sync-init mount, by the command line of libfuse 3.19."""
        words = ("-o", options) if options else ()
        return self.start("--sync-init", *words, "--", mountpoint, **how)

    def unmount(self, mountpoint: PathLike, *options: str, **how: Any) -> Result:
        return self.run("-u", *options, "--", mountpoint, comm=None, **how)

    def serve(self, device: io.FileIO, **how: Any) -> Peer:
        """A server on `device`, killed after the test."""
        peer = Peer(device, **how)
        self._peers.append(peer)
        return peer

    def clean_up(self) -> None:
        for peer in self._peers:
            peer.kill()
        for running in self._started:
            running.clean_up()


def _socket_pair(
    kind: socket.SocketKind | None, number: int | None
) -> tuple[socket.socket | None, socket.socket | None]:
    if kind is None:
        return None, None
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.settimeout(PATIENCE)
    if number is not None:
        moved = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, number)
        assert number == moved, f"descriptor {number} is taken"
        theirs.close()
        theirs = socket.socket(fileno=moved)
    return ours, theirs
