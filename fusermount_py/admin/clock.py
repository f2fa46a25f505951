"""The picture of a handshake: who speaks to whom, and when."""

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Prints what happens, who speaks to whom, and when."""

    CLIENT, HELPER = 36, 24  # widths of the columns

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seen: list[str] = []
        self.stopped = False

    def tell(self, step: str, to: str = "") -> None:
        """Print one step as an arrow to (or "from") the helper or the kernel."""
        if self.stopped:
            return
        self.seen.append(step)
        passed = 1000 * (time.perf_counter() - self.start)
        dashes = "-" * (self.CLIENT - len(step) - 3)
        across = {
            "": f"{step:{self.CLIENT}}|{'':{self.HELPER}}|",
            "helper": f"{step} {dashes}->|{'':{self.HELPER}}|",
            "from helper": f"{step} <{dashes}-|{'':{self.HELPER}}|",
            "kernel": f"{step} {dashes}--|{'-' * (self.HELPER - 1)}>|",
            "through helper": f"{step} {dashes}->|{' creates the mount ':-<{self.HELPER - 1}}>|",
        }
        sys.stdout.write(f"{passed:8.1f}  {across[to]}\n")

    def watch(self, owner: type, method: str, step: str, to: str) -> None:
        """Tell whenever `method` has returned; it does what it always does."""
        original: Callable[..., Any] = getattr(owner, method)

        def watched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # as the original
            answer = original(*arguments, **named)
            self.tell(step, to)
            return answer

        setattr(owner, method, watched)
