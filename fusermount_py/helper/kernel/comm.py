"""
Kernel floor: the comm socket. Nothing here waits for the other end without a clock.

The socket is the caller's, so are its flags: O_NONBLOCK set here would show on the other side of a
dup. Every call says MSG_DONTWAIT instead, and poll does the waiting.

Gone is a peer that can neither speak nor hear. One that has only closed its own direction, as a
client may after its proceed byte, still waits for its status.
"""

import _socket  # socket: 7 ms
import errno
import select
import sys
import time

from fusermount_py.helper.errors import HelperError, KernelError
from fusermount_py.helper.protocol import DEVICE_MESSAGE, encode_report, encode_status

_SEND_FLAGS = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
_GONE = select.POLLHUP | select.POLLERR
_SAYS_NO_MORE = _GONE | select.POLLRDHUP
_KINDS = (_socket.SOCK_STREAM, _socket.SOCK_SEQPACKET)
_INT_BYTES = 4
_MOMENT = 0.01  # seconds


class ClientGone(KernelError):
    """The other end is closed; there is nobody left to mount for."""

    def __init__(self, step: str) -> None:
        super().__init__("the file system went away before it was mounted", errno.EPIPE, step)


class Comm:
    """Our end of the caller's Unix socket pair. ``owes_status``: the client waits for one now."""

    __slots__ = ("_listens_for", "_socket", "descriptor", "owes_status")

    def __init__(self, connected: _socket.socket, descriptor: int) -> None:
        self._socket = connected
        self._listens_for = select.POLLIN | select.POLLRDHUP
        self.descriptor = descriptor
        self.owes_status = False

    def send_device(self, device: int) -> None:
        """One zero byte and the fd; if the peer cannot take it now, it is not delivered."""
        rights = device.to_bytes(_INT_BYTES, sys.byteorder)
        try:
            self._socket.sendmsg(
                [DEVICE_MESSAGE],
                [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)],
                _SEND_FLAGS,
            )
        except OSError as error:
            raise KernelError(
                f"sending file descriptor: {error.strerror}", error.errno or 0, "send"
            ) from error

    def send_success(self) -> None:
        """Status 0. KernelError if it cannot be delivered."""
        self.owes_status = False
        try:
            self._socket.send(encode_status(0), _SEND_FLAGS)
        except OSError as error:
            raise KernelError(
                f"sending status: {error.strerror}", error.errno or 0, "send"
            ) from error

    def send_failure(self, failure: HelperError, *, report: bool) -> None:
        """What the client is owed of a failure; a client that is gone is owed nothing."""
        try:
            if self.owes_status:
                self._socket.send(encode_status(failure.errno or errno.EIO), _SEND_FLAGS)
            if report:
                line = encode_report(failure.errno, failure.step, failure.message, failure.kernel)
                self._socket.send(line, _SEND_FLAGS)
        except OSError:
            pass

    def hang_up(self) -> None:
        """Let the client read end of file now, even if this process cannot end at once."""
        try:  # noqa: SIM105  # contextlib: 4 ms
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass

    def wait_for_byte(self, seconds: float) -> None:
        """Read one byte of any value. Raises ClientGone, or KernelError after ``seconds``."""
        deadline = time.monotonic() + seconds
        while events := self._poll(None, deadline):
            # A SOCK_SEQPACKET peer may send empty messages: no data is not yet end of file.
            if events & select.POLLIN and self._receive(1):
                return
            if events & _SAYS_NO_MORE:
                raise ClientGone("proceed")
        raise KernelError(
            f"no proceed signal from the file system within {seconds:g} seconds",
            errno.ETIMEDOUT,
            "proceed",
        )

    def wait_for_end(self, until: int, seconds: float) -> bool:
        """
        Watch the peer until the fd ``until`` becomes readable (True) or the time is over (False).

        What the peer sends meanwhile is dropped. Raises ClientGone when its end is closed.
        """
        deadline = time.monotonic() + seconds
        while events := self._poll(until, deadline):
            if events < 0:
                return True
            if events & _GONE:
                raise ClientGone("create")
            self._drop(events)
        return False

    def wait_for_hangup(self) -> None:
        """The guard's wait, the only one without a clock: until the other end is closed."""
        while not (events := self._poll(None, None)) & _GONE:
            self._drop(events)

    def _poll(self, other: int | None, deadline: float | None) -> int:
        """
        The socket's events; -1 when ``other`` is readable; 0 when the deadline is over.

        A peer that never stops sending must not keep us from seeing that it is.
        """
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            return 0
        poll = select.poll()
        poll.register(self.descriptor, self._listens_for)
        if other is not None:
            poll.register(other, select.POLLIN)
        ready = dict(poll.poll(None if remaining is None else remaining * 1000))
        return -1 if other in ready else ready.get(self.descriptor, 0)

    def _drop(self, events: int) -> None:
        """Take what is there to read, or poll would say at once, again and again, that it is."""
        if events & select.POLLRDHUP:
            self._listens_for = 0  # the end of file stays readable; hang-up is told unasked
        else:
            self._receive(1 << 16)

    def _receive(self, size: int) -> bytes:
        try:
            return self._socket.recv(size, _socket.MSG_DONTWAIT)
        except OSError:
            # A byte out of band, which poll shows and recv drops: no word of the protocol. Were it
            # anything that stays, we would still not spin.
            time.sleep(_MOMENT)
            return b""


def adopt(descriptor: int | None) -> Comm | None:
    """The socket that the caller names; None if it is not SOCK_STREAM or SOCK_SEQPACKET."""
    try:
        connected = _socket.socket(-1, -1, -1, descriptor)
        kind = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE)
        connected.getpeername()
    except (OSError, OverflowError, TypeError, ValueError):
        return None
    if connected.family != _socket.AF_UNIX or kind not in _KINDS or descriptor is None:
        return None
    return Comm(connected, descriptor)
