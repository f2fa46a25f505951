"""
Who is ready to read requests: the workers of one mount.

    worker thread                       the thread that proceeds
      ready()  --- rings the bell --->    waits until all have reported
         |                                sends proceed
         | waits                          sees the kernel attach the device
      <-----------------------------------  release()
      reads the device

A worker is let go when its read can end by itself again (see device.py); one that waits for that in
vain for a second may read too, and is woken if it comes to nothing. So no failure on the way to the
mount leaves a thread behind.
"""

from __future__ import annotations

import errno
import os
import threading

from fusermount_py import stdio
from fusermount_py.client.errors import MountError, MountTimeout

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable

_EARLY_SECONDS = 1.0


class RollCall:
    """Counts the workers in, and lets them go or sends them home."""

    def __init__(self, expected: int, patience: float) -> None:
        self.bell = stdio.clear_of_stdio(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self.failure: MountError | None = None
        self._missing = expected
        self._patience = patience
        self._lock = threading.Lock()
        self._decided = threading.Event()
        self._owner = threading.current_thread()
        self._threads: list[threading.Thread] = []
        self._callbacks: list[Callable[[], object]] = []

    def ready(self, *, armed: bool) -> None:
        """
        One worker more; returns when it may read, raises MountError when there is no mount.

        An author may wait for a sign of this worker before going on to proceed(). From an armed
        device it may therefore read early: the read waits, and abandoning the mount wakes it.
        """
        self.report()
        # The thread that prepared is the one that proceeds: it must not wait for itself.
        if threading.current_thread() is self._owner:
            return
        with self._lock:
            self._threads.append(threading.current_thread())
        if armed and not self._decided.wait(_EARLY_SECONDS):
            return
        self.wait()

    def wait(self) -> None:
        """Until the device may be read; raises MountError when there is no mount."""
        if not self._decided.wait(self._patience):
            self.dismiss(MountTimeout(errno.ETIMEDOUT, "nobody proceeded", step="workers"))
        if (failure := self.failure) is not None:
            # An exception object belongs to one thread, so each gets its own.
            raise MountError(failure.errno or 0, failure.message, step=failure.step) from failure

    def report(self) -> None:
        """One worker more, without waiting."""
        with self._lock:
            self._missing -= 1
            self._ring()

    def failed(self, error: MountError) -> None:
        """One worker cannot work: nobody shall wait for it, and there shall be no mount."""
        with self._lock:
            self.failure = self.failure or error
            self._ring()

    def complete(self) -> bool:
        """Whether all have reported; raises the failure that one of them told."""
        if self.failure is not None:
            raise self.failure
        return self._missing <= 0

    def have_ended(self) -> bool:
        """Whether threads had reported, and none of them is alive any more."""
        with self._lock:
            return bool(self._threads) and not any(each.is_alive() for each in self._threads)

    def release(self) -> None:
        """The device may be read: let the workers go."""
        self._decide()

    def dismiss(self, error: MountError) -> None:
        """There will be no mount: those who wait, and who come later, are told why."""
        with self._lock:
            self.failure = self.failure or error
        self._decide()

    def call_when_decided(self, callback: Callable[[], object]) -> None:
        """Call this once, from whichever thread decides; at once if that has happened."""
        with self._lock:
            waiting = not self._decided.is_set()
            if waiting:
                self._callbacks.append(callback)
        if not waiting:
            callback()

    def is_decided(self) -> bool:
        return self._decided.is_set()

    def at_work(self) -> bool:
        """Whether a thread that has reported is still alive, this one not counted."""
        with self._lock:
            mine = threading.current_thread()
            return any(thread.is_alive() for thread in self._threads if thread is not mine)

    def hear(self) -> None:
        """Silence the bell until it rings again."""
        try:
            os.eventfd_read(self.bell)
        except BlockingIOError:
            return

    def close(self) -> None:
        with self._lock:
            if self.bell >= 0:
                os.close(self.bell)
                self.bell = -1

    def _decide(self) -> None:
        with self._lock:
            self._decided.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def _ring(self) -> None:
        if self.bell >= 0:
            os.eventfd_write(self.bell, 1)

    def __del__(self) -> None:
        self.close()
