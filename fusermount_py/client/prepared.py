"""The face of a mount that is not made yet: Prepared."""

from __future__ import annotations

import errno
import sys

from fusermount_py.client.errors import MountError
from fusermount_py.client.mounted import Mounted
from fusermount_py.client.turns import run, run_async

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from fusermount_py.client.attempt import Attempt
    from fusermount_py.client.device import Device
    from fusermount_py.client.turns import Flow


class Prepared:
    """
    A file system that waits for its workers; a context manager that leaves nothing on an exception.

    mountpoint:  where it will be, as an absolute path
    device:      the FUSE device's fd, for the workers to read and write; it is closed for them
    sync_init:   True if FUSE_INIT will be answered before the mount can be seen
    """

    def __init__(self, attempt: Attempt, device: Device) -> None:
        self.mountpoint = attempt.request.mountpoint
        self.device = device.descriptor
        self.sync_init = device.armed
        self._attempt = attempt
        self._mounted: Mounted | None = None
        self._abandoned = False

    def worker_ready(self) -> None:
        """
        Report one worker ready, from its own thread, before its first read of the device.

        Returns when the device may be read; raises MountError if there will be no mount. Until the
        kernel has attached the device a read would fail (EPERM), or wait if ``sync_init`` is True;
        then this returns after a second at the latest. In the thread that prepared, which has to
        go on to proceed(), it returns at once.
        """
        self._attempt.workers.ready(armed=self.sync_init)

    def wait_attached(self) -> None:
        """
        Report one worker ready from the thread that prepared, while another one proceeds.

        Returns and raises as worker_ready() does in a thread of its own.
        """
        self._attempt.workers.report()
        self._attempt.workers.wait()

    async def worker_ready_async(self) -> None:
        """As worker_ready(), for a worker that is a task: afterwards the device can be polled."""
        import asyncio  # 40 ms, and whoever calls this has paid them

        loop = asyncio.get_running_loop()
        decided = asyncio.Event()
        workers = self._attempt.workers
        workers.report()
        workers.call_when_decided(lambda: loop.call_soon_threadsafe(decided.set))
        await decided.wait()
        workers.complete()

    def worker_failed(self, error: BaseException | str) -> None:
        """
        Report that a worker cannot do its work: the mount is given up, and proceed() says why.

        If it was mounted already it is unmounted, lazily, and Mounted.failure says why. After the
        end of the mount this does nothing: then it is no failure that workers end.
        """
        if self._mounted is not None and self._mounted.wait(0):
            return
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        failure = MountError(number, f"a worker failed: {error}", step="workers")
        if isinstance(error, BaseException):
            failure.__cause__ = error
        self._attempt.workers.failed(failure)
        if self._mounted is not None:
            self._mounted.unmount(lazy=True)

    def proceed(self) -> Mounted:
        """
        Mount: waits for the workers, then for the helper. Raises MountError if it is not mounted.

        Nothing is left then, and what the workers hold is closed.
        """
        return run(self._proceed())

    async def proceed_async(self) -> Mounted:
        """As proceed(), in the running event loop; cancelling it abandons the mount."""
        return await run_async(self._proceed())

    def abandon(self) -> None:
        """Give the mount up, unless it is made; the end of a ``with`` block does this too."""
        run(self._leave(None))

    def _proceed(self) -> Flow[Mounted]:
        if self._mounted is not None:
            return self._mounted
        if self._abandoned:
            raise MountError(errno.ECANCELED, "the mount was given up", step="abandoned")
        try:
            yield from self._attempt.proceed()
        except BaseException:
            self._abandoned = True
            raise
        self._mounted = Mounted(self._attempt)
        if self._attempt.workers.failure is not None:
            # A worker that failed a moment ago may have found nothing to unmount.
            yield from self._attempt.unmount(lazy=True)
            raise self._attempt.workers.failure
        # A server that uses daemonize has imported it; another need not pay for it.
        if (daemonize := sys.modules.get("fusermount_py.daemonize")) is not None:
            daemonize.set_mounted()
        return self._mounted

    def _leave(self, error: BaseException | None) -> Flow[None]:
        if self._mounted is None and not self._abandoned:
            self._abandoned = True
            yield from self._attempt.abandon(error)
        elif self._mounted is not None and error is not None:
            yield from self._attempt.unmount(lazy=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run(self._leave(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_async(self._leave(error))
