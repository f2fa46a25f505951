"""
Mount a FUSE file system from Python: one way in for every environment.

    from threading import Thread
    from fusermount_py import client

    def serve(prepared):
        prepared.worker_ready()
        while request := os.read(prepared.device, client.REQUEST_BYTES):
            ...                                     # until OSError ENODEV: unmounted

    with client.prepare("/mnt/demo", ["fsname=demo", "subtype=demo", "ro"], workers=2) as prepared:
        for _ in range(2):
            Thread(target=serve, args=(prepared,), daemon=True).start()
        mounted = prepared.proceed()                # mounted now, or MountError
    ...
    mounted.unmount()

A worker that cannot work says so with prepared.worker_failed(error). In an event loop it is
prepare_async(), worker_ready_async(), proceed_async(), unmount_async(): no thread is used.

prepare() starts the helper (the setuid fusermount3, or this package's own where this process may
mount by itself) and receives the FUSE device from it. Where helper and kernel can, the device is
armed for synchronous INIT: proceed() then returns when the server has answered FUSE_INIT, and its
failure is an exception, not a dead mount. Where they cannot, the same calls make an ordinary mount.

run_server() does all this around a server that only knows libfuse, by pyfuse3 or mfusepy say.

A mount that fails, in whatever way, leaves nothing: no mount, no process, no thread, no descriptor.
Nothing of the calling process is changed, and all of this may be called from several threads.
"""

from __future__ import annotations

import errno

from fusermount_py.client.attempt import Attempt
from fusermount_py.client.errors import HelperNotFound, MountError, MountRefused, MountTimeout
from fusermount_py.client.find_helper import find_helper
from fusermount_py.client.leftover import unmount_flow
from fusermount_py.client.library import LentDevice, Mounting
from fusermount_py.client.mounted import Mounted
from fusermount_py.client.prepared import Prepared
from fusermount_py.client.request import Request, absolute
from fusermount_py.client.turns import run, run_async

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from typing import TypeVar, Unpack

    from fusermount_py.client.request import How, Path, SyncInit
    from fusermount_py.client.turns import Flow

    Answer = TypeVar("Answer")

__all__ = [
    "REQUEST_BYTES", "HelperNotFound", "MountError", "MountRefused", "MountTimeout", "Mounted",
    "Prepared", "prepare", "prepare_async", "run_server", "unmount", "unmount_async",
]  # fmt: skip

REQUEST_BYTES = (1 << 20) + 4096  # a read buffer for any request: 256 pages of data and headers


def prepare(
    mountpoint: Path,
    options: str | Iterable[str] = (),
    *,
    sync_init: SyncInit = "auto",
    auto_unmount: bool = False,
    workers: int = 1,
    helper: str | os.PathLike[str] | None = None,
    proceed_timeout: float | None = None,
    init_timeout: float | None = None,
) -> Prepared:
    r"""
    Start a mount: get a FUSE device that workers can be started on.

    mountpoint:       an existing directory or regular file of this user
    options:          as fusermount3's -o: a list of them, or one text; a comma in a name is ``\,``
    sync_init:        "auto": synchronous INIT where kernel and helper have it; "require": else
                      MountError; "never": an ordinary mount
    auto_unmount:     a guard outlives this process and unmounts when it ends, however it ends
    workers:          proceed() waits for so many worker_ready(); 0 to wait for none
    helper:           path of the helper; None: fusermount3 or fusermount on PATH, else our own
    proceed_timeout:  seconds until proceed() has all workers, at most and by default 300
    init_timeout:     seconds for the server's answer to FUSE_INIT, at most and by default 300

    Raises MountError, or one of its kinds: MountRefused, HelperNotFound, MountTimeout.
    """
    request = Request(
        mountpoint,
        options,
        sync_init=sync_init,
        auto_unmount=auto_unmount,
        workers=workers,
        helper=helper,
        proceed_timeout=proceed_timeout,
        init_timeout=init_timeout,
    )
    return run(_prepare(request))


async def prepare_async(
    mountpoint: Path,
    options: str | Iterable[str] = (),
    *,
    sync_init: SyncInit = "auto",
    auto_unmount: bool = False,
    workers: int = 1,
    helper: str | os.PathLike[str] | None = None,
    proceed_timeout: float | None = None,
    init_timeout: float | None = None,
) -> Prepared:
    """As prepare(), in the running event loop, without a thread; cancelling it leaves nothing."""
    request = Request(
        mountpoint,
        options,
        sync_init=sync_init,
        auto_unmount=auto_unmount,
        workers=workers,
        helper=helper,
        proceed_timeout=proceed_timeout,
        init_timeout=init_timeout,
    )
    return await run_async(_prepare(request))


def run_server(
    mountpoint: Path,
    server: Callable[[str], Answer],
    options: str | Iterable[str] = (),
    **how: Unpack[How],
) -> Answer:
    """
    Mount a file system whose library opens the device by itself; returns what ``server`` returns.

    ``server`` is called in this thread with ``/dev/fd/N``, which libfuse 3.3 and later take for a
    mountpoint, and shall serve in the foreground until the file system is unmounted; if it ends
    earlier, it is unmounted then. With mfusepy, for instance:

        client.run_server("/mnt/demo", lambda device: mfusepy.FUSE(Demo(), device, foreground=True))

    Mount options go to ``options``, not to the library. ``how``: what prepare() takes.

    Raises MountError, or whatever ``server`` raises. libfuse 2 does not know such mountpoints
    (mfusepy takes libfuse 3 when $FUSE_LIBRARY_NAME is ``fuse3``).
    """
    with prepare(mountpoint, options, **how) as prepared, Mounting(prepared) as mounting:
        mounting.wait()
        with LentDevice(prepared) as device:
            return server(device)


def unmount(
    path: Path,
    lazy: bool = False,  # as specified
    *,
    helper: str | os.PathLike[str] | None = None,
) -> None:
    """Unmount this user's topmost FUSE mount at a path, whoever made it; MountError if not."""
    run(unmount_flow(find_helper(helper), absolute(path), lazy=lazy))


async def unmount_async(
    path: Path,
    lazy: bool = False,
    *,
    helper: str | os.PathLike[str] | None = None,
) -> None:
    """As unmount(), in the running event loop."""
    await run_async(unmount_flow(find_helper(helper), absolute(path), lazy=lazy))


def _prepare(request: Request) -> Flow[Prepared]:
    try:
        attempt = Attempt(request)
        device = yield from attempt.prepare()
    except MountError:
        raise
    except OSError as error:  # no descriptors left, for instance
        raise MountError(error.errno or errno.EIO, str(error), step="spawn") from error
    return Prepared(attempt, device)
