"""
Stands between a FUSE program and its helper, for `trace`: passes everything on and tells of it.

    program <-- comm socket --> relay <-- another one of the same kind --> helper

    relay.py HELPER LOG ARGV0 ARGUMENTS...

A copy of this file alone runs in the traced program's place, as its user: it imports nothing of
ours. LOG is a datagram socket; when nobody listens there any more the relay just goes on.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MESSAGE_BYTES = 1 << 16
_DESCRIPTORS = 4
_BEHIND = 0.2  # seconds for the last words of a helper that has ended


class Log:
    """Where `trace` listens."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._path = path

    def tell(self, event: str, **facts: object) -> None:
        """One event with its moment on the clock that all processes share."""
        said = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}
        with suppress(OSError):
            self._socket.sendto(json.dumps(said).encode("ascii"), self._path)


def comm_descriptor(arguments: list[str], variables: "os._Environ[str]") -> int | None:
    """The number of the comm socket, named by an option or by the environment."""
    found = variables.get("_FUSE_COMMFD")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == "--":
            break
        if name == "--comm-fd":
            found = value if equals else following
    return int(found) if found and found.isdecimal() else None


def main(helper: str, log_path: str, argv0: str, arguments: list[str]) -> int:
    """Run the helper in our place; returns its exit status."""
    log = Log(log_path)
    number = comm_descriptor(arguments, os.environ)
    kind = ""
    program = theirs = None
    if number is not None:
        program = socket.socket(fileno=os.dup(number))
        kind = socket.SocketKind(program.type).name
        theirs, ours = socket.socketpair(socket.AF_UNIX, program.type)
        os.dup2(ours.fileno(), number, inheritable=True)  # named as before, to the helper
        ours.close()
    log.tell("call", arguments=[argv0, *arguments], comm=kind)
    process = subprocess.Popen(  # noqa: S603  # the helper that was found before we took its place
        [argv0, *arguments],
        executable=helper,
        pass_fds=() if number is None else (number,),
        stderr=subprocess.PIPE,
    )
    if number is not None:
        os.close(number)
    _Relay(log, process, program, theirs).run()
    status = process.wait()
    log.tell("exit", status=status)
    return status


class _Relay:
    """Passes on until the helper has ended; a guard stays, and so do we."""

    def __init__(
        self,
        log: Log,
        process: "subprocess.Popen[bytes]",
        program: socket.socket | None,
        helper: socket.socket | None,
    ) -> None:
        self._log = log
        assert process.stderr is not None  # noqa: S101  # tells the type checker
        stderr = process.stderr.fileno()
        self._end = os.pidfd_open(process.pid)
        self._comm: tuple[socket.socket, ...] = ()
        self._sources: dict[int, Callable[[], None]] = {stderr: lambda: self._pass_stderr(stderr)}
        if program is not None and helper is not None:
            self._comm = (program, helper)
            self._sources[program.fileno()] = lambda: self._pass(program, helper, "program")
            self._sources[helper.fileno()] = lambda: self._pass(helper, program, "helper")

    def run(self) -> None:
        """Until the helper has ended and its last words are passed on."""
        patience = None
        while self._sources:
            poll = select.poll()
            for descriptor in self._sources:
                poll.register(descriptor, select.POLLIN)
            if patience is None:
                poll.register(self._end, select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(patience)]
            if not ready:
                return
            if self._end in ready:
                patience = _BEHIND * 1000
            for descriptor in ready:
                if descriptor in self._sources:
                    self._sources[descriptor]()

    def _pass_stderr(self, stderr: int) -> None:
        text = os.read(stderr, _MESSAGE_BYTES)
        if not text:
            del self._sources[stderr]
            return
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()
        self._log.tell("stderr", text=os.fsdecode(text))

    def _pass(self, source: socket.socket, target: socket.socket, who: str) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(source, _MESSAGE_BYTES, _DESCRIPTORS)
        except OSError:
            message, descriptors = b"", []
        if not message and not descriptors:
            self._log.tell("closed", who=who)
            self._close_comm()
            return
        names = [os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in descriptors]
        self._log.tell("message", who=who, payload=message.hex(), descriptors=names)
        try:
            socket.send_fds(target, [message], descriptors)
        except OSError as error:
            self._log.tell("undelivered", who=who, reason=error.strerror)
        for descriptor in descriptors:
            os.close(descriptor)

    def _close_comm(self) -> None:
        """One end is closed: so must the other be, for that is what the protocol goes by."""
        for end in self._comm:
            del self._sources[end.fileno()]
            end.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
