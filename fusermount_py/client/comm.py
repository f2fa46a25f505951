"""The client's end of the comm socket: messages in, one byte out."""

from __future__ import annotations

import _socket  # socket: 7 ms
import errno
import os
import sys

from fusermount_py import stdio
from fusermount_py.helper import protocol

_MESSAGE_BYTES = 1 << 16
_FDS_SEEN = 16  # room for more than one, so that what should not be there is seen and closed


class Message:
    """What one recvmsg brought; empty data means that the helper's end is closed."""

    __slots__ = ("data", "descriptors", "truncated")

    def __init__(self, data: bytes, descriptors: list[int], *, truncated: bool) -> None:
        self.data = data
        self.descriptors = descriptors
        self.truncated = truncated

    def close(self) -> None:
        """Let go of the descriptors that nobody took out."""
        while self.descriptors:
            os.close(self.descriptors.pop())


END = Message(b"", [], truncated=False)


class Comm:
    """Our end of a socket pair; ``theirs`` is the other one, until the helper has it."""

    def __init__(self) -> None:
        # Message boundaries carry the protocol: one message is one step of it.
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._socket = _socket.socket(fileno=stdio.clear_of_stdio(ours.detach()))
        self._socket.setblocking(False)
        self.theirs = stdio.clear_of_stdio(theirs.detach())

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> Message | None:
        """The next message, None if there is none yet."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                _MESSAGE_BYTES, _socket.CMSG_SPACE(4 * _FDS_SEEN), _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError as error:
            # It left without reading what we sent; or another thread of ours has given up.
            if error.errno in (errno.ECONNRESET, errno.EBADF):
                return END
            raise
        descriptors = [
            int.from_bytes(rights[start : start + 4], sys.byteorder)
            for _, kind, rights in ancillary
            if kind == _socket.SCM_RIGHTS
            for start in range(0, len(rights) - 3, 4)
        ]
        truncated = bool(flags & (_socket.MSG_CTRUNC | _socket.MSG_TRUNC))
        return Message(data, descriptors, truncated=truncated)

    def proceed(self) -> None:
        """Send the proceed byte. A helper that is gone is noticed by the next receive()."""
        try:
            self._socket.send(protocol.PROCEED, _socket.MSG_NOSIGNAL)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                raise

    def hand_over(self) -> None:
        """The helper has its end, or will never have it: close our copy."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def close(self) -> None:
        try:  # noqa: SIM105  # contextlib: 4 ms
            # Another thread may be waiting for it, and what is polled is not closed by close().
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # it has been closed, by them or by us
        self._socket.close()

    def __del__(self) -> None:
        self.hand_over()
        self._socket.close()
