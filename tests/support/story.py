"""
A story: what a test does as an ordinary user, in a process of its own.

Afterwards that process must be as it was before: descriptors, threads, children, environment,
signal handlers, ids, mounts. Whatever the story was about, this is part of it.
"""

import faulthandler
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fusermount_py import client
from fusermount_py.client.device import connection_of
from fusermount_py.hello import Hello
from support.machine import SCRATCH
from support.mount_table import mounts_below
from support.users import User

Answer = TypeVar("Answer")

SETTLING = 5.0  # seconds for threads that have read ENODEV to end


def tell(user: User, story: Callable[..., Answer], *arguments: object, liveness: float) -> Answer:
    """
    What `story` returns or raises as `user`; an AssertionError if it left anything.

    One that hangs for `liveness` seconds is ended.
    """

    def watched() -> Answer:
        threading.Thread(target=_end_a_hanging_story, args=(liveness,), daemon=True).start()
        before = possessions()
        try:
            answer = story(*arguments)
        except BaseException as error:
            error.add_note(traceback.format_exc())
            _abort_own_mounts()
            raise
        deadline = time.monotonic() + SETTLING
        while possessions() != before and time.monotonic() < deadline:
            time.sleep(0.005)
        after = possessions()
        changed = {
            name: (before[name], after[name]) for name in before if after[name] != before[name]
        }
        assert {} == changed, changed
        return answer

    return user.call(watched)


def _end_a_hanging_story(liveness: float) -> None:
    time.sleep(liveness)
    faulthandler.dump_traceback(all_threads=True)
    _abort_own_mounts()
    os._exit(1)


def _abort_own_mounts() -> None:
    """
    End the connections that this process serves, before it ends with files open on them.

    Else its exit would wait for an answer to FLUSH that only it could give, for ever, and every
    ps(1) on this machine with it.
    """
    served = {connection_of(int(name)) for name in os.listdir("/proc/self/fd")}
    # Before Linux 6.18 a device does not tell.
    served |= {int(entry.device.removeprefix("0:")) for entry in mounts_below(SCRATCH)}
    for connection in served - {None}:
        try:
            abort = Path(f"/sys/fs/fuse/connections/{connection}/abort")
            abort.write_text("1", encoding="ascii")
        except OSError:
            continue  # it has ended already, or is none


def possessions() -> dict[str, object]:
    """What a process has that others could miss, or stumble over."""
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor of the listing itself
    return {
        "descriptors": descriptors,
        "threads": len(os.listdir("/proc/self/task")),
        "children": [
            task.joinpath("children").read_text(encoding="ascii")
            for task in Path("/proc/self/task").iterdir()
            if task.name == str(os.getpid())
        ],
        "environment": dict(os.environ),
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "ids": (os.getresuid(), os.getresgid(), os.getgroups()),
        "directory": os.getcwd(),
        "mounts": mounts_below(SCRATCH),
    }


def serve(prepared: client.Prepared, workers: int = 1) -> list[threading.Thread]:
    """The example server, with so many workers, on a device."""
    threads = [
        threading.Thread(target=Hello(prepared.device).serve, args=(prepared,), daemon=True)
        for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    return threads


def mount_hello(
    mountpoint: str | bytes | os.PathLike[str],
    options: Sequence[str] = (),
    *,
    workers: int = 1,
    threads: list[threading.Thread] | None = None,
    **how: Any,
) -> client.Mounted:
    """The way that the documentation shows; `threads` is told of the workers."""
    with client.prepare(mountpoint, options, workers=workers, **how) as prepared:
        started = serve(prepared, workers)
        if threads is not None:
            threads += started
        return prepared.proceed()


def children() -> list[int]:
    """The processes that this thread's process has started and not reaped."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]
