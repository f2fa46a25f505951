"""
How a start went, from the child to the parent that waits: one message through a pipe.

    one byte, then text     the status that the parent exits with, and what it prints
    nothing, end of file    the child died first, however
"""

from __future__ import annotations

import os
import select
import sys

from fusermount_py import stdio

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from typing import NoReturn


def send(writer: int, status: int, message: str) -> None:
    """Send the verdict; what is too long for one write is cut."""
    verdict = bytes([status]) + message.encode("utf-8", "surrogateescape")
    try:  # noqa: SIM105  # contextlib: 4 ms
        os.write(writer, verdict[: select.PIPE_BUF])  # at once, or not at all
    except BrokenPipeError:
        pass  # the parent has just died: too late to undo anything


def await_and_exit(child: int, reader: int) -> NoReturn:
    """The parent's whole life after the fork: pass on how the child's start went."""
    try:
        verdict = _read(child, reader)
    except KeyboardInterrupt:
        os._exit(128 + 2)  # as a shell reports SIGINT; the child sees us go
    if not verdict:
        program = os.path.basename(sys.argv[0]) or "daemonize"
        stdio.say(f"{program}: the server ended before it was ready{_how(child)}")
        os._exit(1)
    if message := verdict[1:].decode("utf-8", "backslashreplace"):
        stdio.say(message)
    os._exit(verdict[0])


def _read(child: int, reader: int) -> bytes:
    """The child's verdict; nothing if it died, whoever else may hold the pipe open."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    try:  # noqa: SIM105  # contextlib: 4 ms
        poll.register(os.pidfd_open(child), select.POLLIN)
    except ProcessLookupError:
        pass  # SIGCHLD is ignored here, and it has gone already
    os.set_blocking(reader, False)
    poll.poll()
    try:
        return os.read(reader, select.PIPE_BUF)
    except BlockingIOError:  # then it was the child's end that woke us
        return b""


def _how(child: int) -> str:
    """How a child ended, in brackets; it has closed the pipe and may need a moment to end."""
    poll = select.poll()
    try:
        poll.register(os.pidfd_open(child), select.POLLIN)
        poll.poll(1000)
        pid, status = os.waitpid(child, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return ""  # SIGCHLD is ignored here: nobody knows
    if not pid:
        return ""
    if os.WIFSIGNALED(status):
        return f" (killed by signal {os.WTERMSIG(status)})"
    return f" (exit status {os.WEXITSTATUS(status)})"
