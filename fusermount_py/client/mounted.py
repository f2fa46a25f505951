"""The face of a mount that is made: Mounted."""

from __future__ import annotations

from fusermount_py.client.turns import run, run_async

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from fusermount_py.client.attempt import Attempt
    from fusermount_py.client.errors import MountError


class Mounted:
    """
    A file system that is mounted; a context manager that unmounts (lazily) at its end.

    Keep it as long as the file system shall live: the device is closed with the last reference, and
    with auto_unmount the guard then unmounts.

    mountpoint:  where it is, as an absolute path
    mount_id:    its id in /proc/self/mountinfo, None if it could not be found out
    """

    def __init__(self, attempt: Attempt) -> None:
        self.mountpoint = attempt.request.mountpoint
        self.mount_id = attempt.mount_id
        self._attempt = attempt

    @property
    def failure(self) -> MountError | None:
        """What a worker has said that ended this mount; None if none did."""
        return self._attempt.workers.failure

    def unmount(self, lazy: bool = False) -> None:  # as specified
        """
        Unmount it, also when somebody else has done so already; MountError (EBUSY) while in use.

        ``lazy`` takes it out of sight at once; it ends when its last user does. The workers read
        ENODEV when it has ended, and their device is closed when they have gone.
        """
        run(self._attempt.unmount(lazy=lazy))

    async def unmount_async(self, lazy: bool = False) -> None:
        """As unmount(), in the running event loop."""
        await run_async(self._attempt.unmount(lazy=lazy))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is unmounted, by whomever; False if ``timeout`` seconds came first."""
        device = self._attempt.device
        if device is None or not device.disconnected(timeout):
            return False
        run(self._attempt.settle())
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unmount(lazy=True)
