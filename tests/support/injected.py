"""
A helper whose system calls strace answers.

    Injected(ours, ("fsopen:error=ENOSYS",)).mount(mountpoint, user=caller)
"""

from typing import Any

from support.program import Program, Running
from support.users import ROOT, PathLike, User


class Injected(Program):
    """Started like the helper; `faults` are in the words of strace's ``inject=``."""

    def __init__(self, helper: Program, faults: tuple[str, ...]) -> None:
        super().__init__("/usr/bin/strace")
        self._words = [word for fault in faults for word in ("-e", f"inject={fault}")]
        self._helper = helper.path

    def start(self, *arguments: PathLike, user: User, **how: Any) -> Running:
        # -D: the helper stays our child. -u by root: its setuid bit counts. -f: its threads, and
        # the guard with the helper that it starts.
        name = f"test{user.uid}" if user.uid else "root"
        words = ["-D", "-qq", "-f", "-o", "/dev/null", "-u", name, *self._words]
        return super().start(*words, self._helper, *arguments, user=ROOT, argv0="strace", **how)
