"""
One run of the helper: found, started, listened to, and always waited for.

The helper gets descriptors 0 to 2 (nothing, nothing, our pipe for its sentences), the comm socket
and a copy of the environment with the contract's variables on top: a helper may be a wrapper, in a
container for instance, that needs PATH; the setuid one throws everything away by itself.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal: 4 ms for its enums
import collections
import errno
import os

from fusermount_py import stdio
from fusermount_py.client.comm import END, Comm
from fusermount_py.client.errors import HelperNotFound, MountError
from fusermount_py.client.spawn import spawn
from fusermount_py.client.turns import Until, now, readable
from fusermount_py.helper import protocol

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fusermount_py.client.comm import Message
    from fusermount_py.client.turns import Flow

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.ELOOP)
_GRACE_SECONDS = 2.0  # our helper leaves within one when its client is gone
_SAID_BYTES = 1 << 16  # of stderr, the last of it: the sentence that matters comes last

_forgotten: collections.deque[int] = collections.deque()  # helpers of mounts nobody ended


class HelperProcess:
    """A running helper; whoever made it drives end() to its end, whatever happens in between."""

    def __init__(
        self, command: Sequence[str], arguments: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        _reap_forgotten()
        self.said = b""
        self.exit_status: int | None = None
        self._reaped = True  # as long as there is nothing to reap
        self._pid = self._pidfd = self._stderr = -1
        try:
            self.comm = Comm()
        except OSError as error:  # no descriptor left
            raise _not_started(command[0], error) from error
        try:
            self._stderr, their_stderr = stdio.pipe()
            os.set_blocking(self._stderr, False)
            try:
                self._pid = spawn(
                    command[0],
                    [*command[1:], *arguments],
                    {protocol.COMM_FD: str(self.comm.theirs), **variables},
                    stderr=their_stderr,
                    comm=self.comm.theirs,
                )
            finally:
                os.close(their_stderr)
            self._pidfd = _watch(self._pid)
        except OSError as error:
            self._close()
            raise _not_started(command[0], error) from error
        finally:
            self.comm.hand_over()
        self._reaped = False

    def listen(self, deadline: float, also: Collection[int] = ()) -> Flow[Message | None]:
        """The next message; None if the deadline, or a reader of ``also``, came first."""
        while True:
            if self.comm.fileno() < 0:
                return END
            watched = (self.comm.fileno(), self._stderr, self._pidfd, *also)
            ready = yield Until(watched, deadline)
            self._hear()
            if (message := self.comm.receive()) is not None:
                return message
            if self._pidfd in ready:
                # A message sent just before the end has been looked for: that was all.
                return END
            if now() >= deadline or any(descriptor in ready for descriptor in also):
                return None

    def end(self, grace: float = _GRACE_SECONDS) -> Flow[int | None]:
        """
        Close the comm socket and see the helper out: by itself within ``grace``, killed after it.

        Returns the exit status, None if somebody else in this process reaped it. No zombie stays.
        """
        self.comm.close()
        return (yield from self.exited(grace))

    def exited(self, seconds: float) -> Flow[int | None]:
        """As end(), with the comm socket left open until the helper has gone."""
        deadline = now() + seconds
        try:
            while self._pidfd >= 0 and now() < deadline:
                ready = yield Until((self._stderr, self._pidfd), deadline)
                self._hear()
                if self._pidfd in ready:
                    break
        finally:
            self._reap()
            self._close()
        return self.exit_status

    def _hear(self) -> None:
        """Take what stderr holds, so that a talkative helper never waits for us."""
        if self._stderr >= 0:
            try:
                chunk = os.read(self._stderr, _SAID_BYTES)
            except BlockingIOError:
                return
            self.said = (self.said + chunk)[-_SAID_BYTES:]
            if not chunk:
                os.close(self._stderr)
                self._stderr = -1

    def _reap(self) -> None:
        """Let no child stay: one that would not leave, or that we may not wait for, is killed."""
        if self._reaped:
            return  # the number may be another child's by now
        self._reaped = True
        if self._pidfd >= 0 and not readable(Until((self._pidfd,), now()), wait=False):
            _signal.pidfd_send_signal(self._pidfd, _signal.SIGKILL)
            # Not even SIGKILL ends a process that waits for a broken disk: do not wait for ever.
            readable(Until((self._pidfd,), now() + _GRACE_SECONDS), wait=True)
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # the author waits for any child, or ignores SIGCHLD
            return
        if pid:
            self.exit_status = os.waitstatus_to_exitcode(status)

    def _close(self) -> None:
        self.comm.close()
        self._hear()
        for descriptor in (self._stderr, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._stderr = self._pidfd = -1

    def __del__(self) -> None:
        """A mount that was forgotten: let the helper go, and the next one reap it."""
        if not self._reaped:
            self._reaped = True
            self._close()
            _forgotten.append(self._pid)


def _reap_forgotten() -> None:
    """Reap what ended after its mount had been forgotten; what still runs waits for its turn."""
    for _ in range(len(_forgotten)):
        pid = _forgotten.popleft()
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                _forgotten.append(pid)
        except ChildProcessError:
            continue


def _watch(pid: int) -> int:
    """A descriptor that is readable when the process has ended; -1 if it has, and is reaped."""
    try:
        return stdio.clear_of_stdio(os.pidfd_open(pid))
    except ProcessLookupError:  # SIGCHLD is ignored here
        return -1
    except OSError:  # no descriptor left to watch it by
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _not_started(path: str, error: OSError) -> MountError:
    message = f"{path}: {error.strerror}"
    kind = HelperNotFound if error.errno in _NOT_THERE else MountError
    return kind(error.errno or errno.ENOENT, message, step="spawn")
