"""
The flow of one mount, from the first helper to the last worker.

    prepare    start the helper, take the device, arm it             (again, if the helper is old)
    proceed    roll call, proceed byte, status                       (classic: roll call)
    abandon    helper out, leftover mount back, workers home, device closed
    unmount    helper -u, guard out, workers home, device closed

What fails in prepare or proceed ends in abandon, and then raises.
"""

from __future__ import annotations

import errno
import sys
import threading

from fusermount_py.client import conversation
from fusermount_py.client.device import wake_blocked_readers
from fusermount_py.client.errors import MountError, MountTimeout
from fusermount_py.client.helper_process import HelperProcess
from fusermount_py.client.leftover import Before, is_mounted, topmost_mount_id, unmount_flow
from fusermount_py.client.roll_call import RollCall
from fusermount_py.client.turns import Until, now, run

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from fusermount_py.client.device import Device
    from fusermount_py.client.request import Request
    from fusermount_py.client.turns import Flow

_DEVICE_SECONDS = 60.0  # to decide about a mountpoint, which may lie on a slow network
_HOME_SECONDS = 1.0  # for threads that have read ENODEV to leave
_LOOK_SECONDS = 0.001  # poll(2) cannot wait for less


class Attempt:
    """One mount in the making, made, or undone; Prepared and Mounted are its two faces."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.mount_id: int | None = None
        self.device: Device | None = None
        self.workers = RollCall(request.workers, request.proceed_seconds + request.init_seconds)
        self._classic = False
        self._undoing = threading.Lock()
        self._undone = False
        self._helper: HelperProcess | None = None
        self._before = Before(request.mountpoint)
        self._proceed_by = now() + request.proceed_seconds
        # A server that uses daemonize has imported it; another need not pay for it.
        daemonize = sys.modules.get("fusermount_py.daemonize")
        if daemonize is not None and daemonize.is_active():
            daemonize.at_parents_death(lambda: run(self.abandon(None)))

    def prepare(self) -> Flow[Device]:
        """Get the device; with an old helper the mount is there when this returns."""
        try:
            if self.request.sync_init != "never":
                self.device = yield from self._ask(sync_init=True)
            if self.device is None:
                self._classic = True
                self.device = yield from self._mount_classically()
            elif not self.device.arm() and self.request.sync_init == "require":
                raise MountError(  # noqa: TRY301  # abandoned like every other failure
                    errno.ENOTTY, "this kernel has no synchronous FUSE_INIT", step="sync-init"
                )
        except BaseException as error:
            yield from self.abandon(error)
            raise
        return self.device

    def proceed(self) -> Flow[None]:
        """Mount, once the workers are ready."""
        try:
            yield from self._all_ready()
            if not self._classic and self._helper and self.device:
                self._helper.comm.proceed()
                yield from conversation.await_status(
                    self._helper, self.device, self.workers, self.request.init_seconds
                )
                yield from self._see_helper_out()
            self.workers.release()
            self.workers.complete()  # one may have failed after it was ready
        except BaseException as error:
            yield from self.abandon(error)
            raise

    def abandon(self, error: BaseException | None) -> Flow[None]:
        """Leave nothing of it: no mount, no helper, no waiting worker, no descriptor."""
        while not self._undoing.acquire(blocking=False):
            yield Until((), now() + _LOOK_SECONDS)  # another thread is at it
        try:
            if not self._undone:
                yield from self._abandon(error)
                self._undone = True
        finally:
            self._undoing.release()

    def unmount(self, *, lazy: bool) -> Flow[None]:
        """Unmount exactly this file system; one that is gone already is none to complain about."""
        path = self.request.mountpoint
        if self.mount_id is None or topmost_mount_id(path) == self.mount_id:
            try:
                yield from unmount_flow(self.request.command, path, lazy=lazy)
            except MountError:
                # Somebody else was faster.
                if self.mount_id is None or is_mounted(self.mount_id):
                    raise
        elif is_mounted(self.mount_id):
            raise MountError(errno.EBUSY, f"{path} is covered by another mount", step="unmount")
        if self._helper:
            yield from self._helper.end()
        yield from self.settle()

    def settle(self) -> Flow[None]:
        """Close what is left, unless somebody still uses what was lazily unmounted."""
        if self.device and self.device.disconnected(0.0):
            yield from self._see_workers_home()

    def _abandon(self, error: BaseException | None) -> Flow[None]:
        self.workers.dismiss(_reason(error))
        connection = self.device.connection() if self.device else None
        if self._helper:
            yield from self._helper.end()
        if self.device:
            self.device.end()
            if self.device.armed and connection is None:
                yield Until((), now() + _LOOK_SECONDS)  # for a thread on its way into the kernel
                wake_blocked_readers()
        try:
            yield from self._before.take_back(self.request.command, self.mount_id, connection)
        finally:
            yield from self._see_workers_home()

    def _ask(self, *, sync_init: bool) -> Flow[Device | None]:
        """Start a helper and take its device; None if it does not know --sync-init."""
        self._helper = HelperProcess(
            self.request.command,
            self.request.arguments(sync_init=sync_init),
            self.request.variables,
        )
        deadline = min(self._proceed_by, now() + _DEVICE_SECONDS)
        return (yield from conversation.receive_device(self._helper, deadline))

    def _mount_classically(self) -> Flow[Device]:
        if self.request.sync_init == "require":
            raise MountError(
                errno.EOPNOTSUPP, "the helper does not know --sync-init", step="sync-init"
            )
        device = self.device = yield from self._ask(sync_init=False)
        if device is None:
            raise MountError(errno.EIO, "the helper ended without a word", step="receive")
        conversation.check_attached(device)
        yield from self._see_helper_out()
        self.workers.release()  # it is mounted: requests may come at any time
        return device

    def _all_ready(self) -> Flow[None]:
        while not self.workers.complete():
            if now() >= self._proceed_by:
                raise MountTimeout(
                    errno.ETIMEDOUT, "not all workers reported ready in time", step="workers"
                )
            bell = (self.workers.bell,)
            if self._classic or self._helper is None:
                yield Until(bell, self._proceed_by)
            else:
                message = yield from self._helper.listen(self._proceed_by, bell)
                self.workers.complete()  # raises if another thread has given up
                if message is not None:
                    yield from conversation.unexpected(self._helper, message)
            self.workers.hear()

    def _see_helper_out(self) -> Flow[None]:
        """It has mounted. Wait for it to leave; one that guards the mount stays."""
        self.mount_id = topmost_mount_id(self.request.mountpoint)
        if self._helper and not self.request.auto_unmount:
            yield from self._helper.exited(conversation.MARGIN_SECONDS)
            self._helper = None

    def _see_workers_home(self) -> Flow[None]:
        self.workers.close()
        deadline = now() + _HOME_SECONDS
        while self.workers.at_work() and now() < deadline:
            yield Until((), now() + _LOOK_SECONDS)
        if self.device:
            self.device.end()
            if not self.workers.at_work():
                self.device.close()


def _reason(error: BaseException | None) -> MountError:
    if isinstance(error, MountError):
        return error
    why = f": {error!r}" if error is not None else ""
    return MountError(errno.ECANCELED, f"the mount was given up{why}", step="abandoned")
