"""The picture of a handshake: who speaks to whom, and when."""

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Prints what happens, who speaks to whom, and when; ``silent``: only keeps it."""

    CLIENT, HELPER = 36, 24  # widths of the columns

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.start = time.perf_counter()
        self.steps: list[dict[str, object]] = []
        self.stopped = False

    @property
    def seen(self) -> list[object]:
        """What has happened, in its order."""
        return [step["step"] for step in self.steps]

    def say(self, line: str) -> None:
        """Print one line."""
        if not self.silent:
            sys.stdout.write(line + "\n")

    def tell(self, step: str, to: str = "") -> None:
        """Print one step as an arrow to (or "from") the helper or the kernel."""
        if self.stopped:
            return
        passed = 1000 * (time.perf_counter() - self.start)
        self.steps.append({"milliseconds": round(passed, 1), "step": step, "to": to})
        dashes = "-" * (self.CLIENT - len(step) - 3)
        across = {
            "": f"{step:{self.CLIENT}}|{'':{self.HELPER}}|",
            "helper": f"{step} {dashes}->|{'':{self.HELPER}}|",
            "from helper": f"{step} <{dashes}-|{'':{self.HELPER}}|",
            "kernel": f"{step} {dashes}--|{'-' * (self.HELPER - 1)}>|",
            "through helper": f"{step} {dashes}->|{' creates the mount ':-<{self.HELPER - 1}}>|",
        }
        self.say(f"{passed:8.1f}  {across[to]}")

    def watch(self, owner: type, method: str, step: str, to: str) -> None:
        """Tell whenever `method` has returned; it does what it always does."""
        original: Callable[..., Any] = getattr(owner, method)

        def watched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # as the original
            answer = original(*arguments, **named)
            self.tell(step, to)
            return answer

        setattr(owner, method, watched)
