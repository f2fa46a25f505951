"""
Kernel floor: one line in the authpriv log for what an ordinary caller is granted or refused.

    fusermount3[77]: uid=1000 gid=1000 mount mountpoint="/mnt" type="fuse.x" source="x" result="..."

Sent to the log daemon's socket and not through the C library's syslog(), which blocks for as long
as the daemon does: what cannot be sent at once is not sent, and nothing ever fails for it. The
socket is opened before anything else is: who leaves us no descriptor for it gets nothing done.
"""

import _socket  # socket: 7 ms
import errno
import posix

from fusermount_py.helper.errors import KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.errors import HelperError
    from fusermount_py.helper.kernel.privilege import Caller

_LOG_SOCKET = "/dev/log"
_AUTHPRIV_NOTICE = 10 << 3 | 5  # sys/syslog.h: facility and severity
_SHOWN_MAX = 512  # bytes of one value: two long paths must still fit into one datagram
_STARVED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # socket(2)
_PLAIN = bytes(number for number in range(0x20, 0x7F) if number not in b'"\\')


class AuditTrail:
    """What this caller is told, told to the administrator, too; root's doings are not recorded."""

    __slots__ = ("_caller", "_socket", "_starved")

    def __init__(self, caller: "Caller") -> None:
        self._caller = caller
        self._starved: OSError | None = None
        self._socket: _socket.socket | None = None
        if caller.is_root:
            return
        try:
            self._socket = _socket.socket(
                _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC
            )
        except OSError as error:  # a sandbox may have no Unix sockets, and then no log daemon
            self._starved = error if error.errno in _STARVED else None

    def granted(self, what: str, mountpoint: str, fstype: str, source: str | None = None) -> None:
        """
        Written before the deed: the caller may kill this process at any instant after it.

        Where the kernel then fails the deed, refused() writes another line. KernelError if the
        caller left nothing to write it with.
        """
        if self._starved is not None:
            raise KernelError(
                f"failed to open the log's socket: {self._starved.strerror}",
                self._starved.errno or 0,
                what,
            )
        whence = () if source is None else (("source", source),)
        place = (("mountpoint", mountpoint), ("type", fstype))
        self._write(what, *place, *whence, ("result", "granted"))

    def refused(self, what: str, words: str | None, error: "HelperError") -> None:
        """``words``: the mountpoint as the caller wrote it, if the command line had one."""
        place = () if words is None else (("mountpoint", words),)
        self._write(what, *place, ("result", error.message))

    def _write(self, what: str, *fields: tuple[str, str]) -> None:
        if self._socket is None:
            return
        shown = " ".join(f"{name}={_quoted(value)}" for name, value in fields)
        who = f"uid={self._caller.uid} gid={self._caller.gid}"
        line = f"<{_AUTHPRIV_NOTICE}>fusermount3[{posix.getpid()}]: {who} {what} {shown}"
        try:  # noqa: SIM105  # contextlib: 4 ms
            self._socket.sendto(
                line.encode(), _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL, _LOG_SOCKET
            )
        except OSError:
            pass  # no log daemon, or one that is busy


def _quoted(value: str) -> str:
    """In quotes; whatever could end the quotes, or the line, becomes octal."""
    text = value.encode("utf-8", "surrogateescape")
    shown = "".join(chr(b) if b in _PLAIN else f"\\{b:03o}" for b in text[:_SHOWN_MAX])
    return f'"{shown}"' + ("..." if len(text) > _SHOWN_MAX else "")
