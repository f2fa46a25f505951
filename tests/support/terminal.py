"""
A real terminal of a chosen size, by tmux: what a person sees, and a keyboard.

    with Terminal(folder, command, environment, columns=60) as terminal:
        terminal.wait_for("Abort it?")
        terminal.type("n")
"""

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from support.program import PATIENCE


class Terminal:
    """One tmux server with one window; it stays when its command has ended, to be looked at."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str | Path],
        environment: dict[str, str],
        *,
        columns: int = 100,
        lines: int = 30,
    ) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        variables = [f"{name}={value}" for name, value in environment.items()]
        words = ["env", "-i", "TERM=screen-256color", *variables, *map(str, command)]
        # The status, and then a process that keeps the window.
        line = f"{shlex.join(words)}; echo status $?; exec sleep 1000"
        size = ("-x", str(columns), "-y", str(lines))
        self._run("new-session", "-d", *size, line)

    def _run(self, *words: str) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        result = subprocess.run(
            [*self._tmux, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return result.stdout

    def screen(self, *, colours: bool = False) -> str:
        """What is to be seen now; with ``colours``, their escape sequences as well."""
        return self._run("capture-pane", "-p", *(["-e"] if colours else []))

    def wait_for(self, text: str) -> str:
        """The screen, once ``text`` is on it."""
        deadline = time.monotonic() + PATIENCE
        while text not in (screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.02)
        return screen

    def type(self, text: str) -> None:
        """These characters, and the return key."""
        self._run("send-keys", text, "Enter")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._run("kill-server")
