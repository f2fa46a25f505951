"""
A helper that strace holds at one system call: an attacker's luck, made certain.

    held = Held(ours, "umount2")                  # at its entry; after=True: behind it
    running = held.start("-u", "--", mountpoint, user=caller, comm=None)
    until_at(running, "umount2")                  # the deed comes in two seconds
"""

import os
from pathlib import Path

from support.essential import essential_skip
from support.flows import until
from support.injected import Injected
from support.program import Program, Running

_MICROSECONDS = 2_000_000
# asm/unistd.h; a task's present call stands in /proc as a number.
_NUMBERS = {
    "x86_64": {
        "execve": 59,
        "exit_group": 231,
        "fstatfs": 138,
        "mount": 165,
        "statfs": 137,
        "umount2": 166,
    },
    "aarch64": {
        "execve": 221,
        "exit_group": 94,
        "fstatfs": 44,
        "mount": 40,
        "statfs": 43,
        "umount2": 39,
    },
}


class Held(Injected):
    """Started like the helper; it stays two seconds at each of these calls. `faults`: others."""

    def __init__(
        self, helper: Program, *calls: str, after: bool = False, faults: tuple[str, ...] = ()
    ) -> None:
        where = "delay_exit" if after else "delay_enter"
        held = tuple(f"{call}:{where}={_MICROSECONDS}" for call in calls)
        super().__init__(helper, held + faults)


def until_at(running: Running, *calls: str) -> None:
    """Wait until one of the helper's threads is at one of these calls."""
    known = _NUMBERS.get(os.uname().machine)
    if known is None:
        essential_skip("needs the numbers of this processor's system calls")
    wanted = {str(known[call]) for call in calls}

    def is_there() -> bool:
        assert running.process.poll() is None, running.wait()
        tasks = Path(f"/proc/{running.process.pid}/task").glob("*/syscall")
        return any(_words(task)[:1] == [number] for task in tasks for number in wanted)

    until(is_there, f"the helper is at {calls}")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []  # it has just ended
