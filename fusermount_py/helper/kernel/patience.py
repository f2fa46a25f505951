"""
Kernel floor: a clock over calls that take none.

Looking up a path and reading a mountpoint's mode ask the file systems on the way, and one of them
may be a FUSE mount of the caller's whose server hangs. Those calls have no timeout, and a signal
would end us without a sentence; so a second thread looks at the clock.
"""

import _signal  # type: ignore[import-not-found]  # signal: 4 ms
import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def start_thread(run: "Callable[[], None]") -> None:
    """
    A second thread, which takes no signal; RuntimeError at the process limit.

    A signal to the process goes to any thread that lets it through, so while the first blocks all
    of them, between attaching and telling, no other may take one.
    """
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    try:
        _thread.start_new_thread(run, ())
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


class Patience:
    """``over`` is called once, in the other thread, if end() is not called within ``seconds``."""

    __slots__ = ("_alarmed", "_decided", "_ended")

    def __init__(self, seconds: float, over: "Callable[[], None]") -> None:
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        self._decided = _thread.allocate_lock()
        self._alarmed = False
        try:
            start_thread(lambda: self._wait(seconds, over))
        except RuntimeError:
            # The caller is at the process limit: no reason not to mount, as C would. This clock
            # says no sentence, but it rings.
            _signal.alarm(int(seconds) + 1)
            self._alarmed = True

    def end(self) -> None:
        """From here on every wait has a clock of its own. Does not return if it comes too late."""
        if not self._decided.acquire(blocking=False):
            self._ended.acquire()  # for good: over() is ending this process
        if self._alarmed:
            _signal.alarm(0)
        self._ended.release()

    def _wait(self, seconds: float, over: "Callable[[], None]") -> None:
        if not self._ended.acquire(timeout=seconds) and self._decided.acquire(blocking=False):
            over()
