"""
A server that is not ours to change: a library's main loop, or a whole program.

    this thread                                another
      prepare
      Mounting  ------------------------------>  proceed
      wait      <------ attached --------------    |
      the server opens /dev/fd/N, reads INIT       |
      ...serves...                                 mounted
      it ends: unmounted
"""

from __future__ import annotations

import fcntl
import os
import threading

from fusermount_py.client.errors import MountError

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from fusermount_py.client.mounted import Mounted
    from fusermount_py.client.prepared import Prepared

_STATUS_SECONDS = 1.0  # for a status on its way, when the server has ended already


class Mounting:
    """Proceeds in a thread of its own, so that this one can become the server."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._mounted: Mounted | None = None
        self._failure: MountError | None = None
        self._thread = threading.Thread(target=self._proceed, name="mounting", daemon=True)

    def wait(self) -> None:
        """Until the device can be read; MountError if there will be no mount."""
        self._prepared.wait_attached()

    def _proceed(self) -> None:
        try:
            self._mounted = self._prepared.proceed()
        except MountError as error:
            self._failure = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The server has ended, or raised: unmount; if there was no mount, say why."""
        if self._failure is None:
            self._thread.join(_STATUS_SECONDS if error is None else 0)
        reason = self._failure
        if reason is None and self._thread.is_alive():
            self._prepared.worker_failed(error or "the server ended before it was mounted")
            self._thread.join()
            reason = None if error is not None else self._failure
        if self._mounted is not None:
            self._mounted.unmount(lazy=True)
        if reason is not None and reason is not error:
            raise reason from error


class LentDevice:
    """A duplicate of the device for a library that closes what it is given, or not, as it likes."""

    def __init__(self, prepared: Prepared) -> None:
        self._device = prepared.device
        self._lent = os.dup(prepared.device)
        self.path = f"/dev/fd/{self._lent}"

    def __enter__(self) -> str:
        return self.path

    def __exit__(self, *_: object) -> None:
        # A number that was closed may be another file by now, perhaps even another device.
        if _is_same_open_file(self._device, self._lent):
            os.close(self._lent)


def _is_same_open_file(ours: int, other: int) -> bool:
    """Whether two descriptors are duplicates: only then a flag set on one can be seen on both."""
    try:
        before, flags = fcntl.fcntl(other, fcntl.F_GETFL), fcntl.fcntl(ours, fcntl.F_GETFL)
        # No device minds being appended to.
        fcntl.fcntl(ours, fcntl.F_SETFL, flags ^ os.O_APPEND)
        same = fcntl.fcntl(other, fcntl.F_GETFL) == before ^ os.O_APPEND
        fcntl.fcntl(ours, fcntl.F_SETFL, flags)
    except OSError:  # one of them is closed
        return False
    return same
