"""
The caller's timer slack, niceness and processor clock survive exec: who sets them far enough stops
every clock of the helper, and of what it leaves to root.
"""

import fcntl
import os
import platform
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import said, until
from support.leaks import children
from support.program import Running
from support.users import User
from support.weakened import Change, Target, against

from .test_survives_exec import (
    HOURS,
    PR_SET_TIMERSLACK,
    PR_SET_TSC,
    PR_TSC_SIGSEGV,
    prctl,
    prctl_of,
)

INHERITED = "packaging/launcher/inherited.h"
SLACK = "prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0);"
SCRIBE_SECONDS = 8  # more than what the scribe gives mount(8), and then itself


@against(Change(INHERITED, SLACK, ""))
def test_a_clock_rings_whatever_the_callers_slack(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    The peer never sets our clock; a helper that waits for ever holds its seat.
    """
    assert_rings(target, caller, mountpoint, prctl_of(PR_SET_TIMERSLACK, HOURS))


@against(Change(INHERITED, SLACK, SLACK.replace("50000", "0")))
def test_a_clock_rings_whatever_the_slack_of_its_parent(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    To ask for slack 0 is to ask for the task's default, which is what its parent had at fork.
    """
    prctl(PR_SET_TIMERSLACK, HOURS)
    try:
        assert_rings(target, caller, mountpoint, None)
    finally:
        prctl(PR_SET_TIMERSLACK, 50_000)


def assert_rings(
    target: Target, caller: User, mountpoint: Path, set_: Callable[[], None] | None
) -> None:
    running = target.program.start_sync_init(
        mountpoint, user=caller, environment={"_FUSE_PROCEED_TIMEOUT": "0.5"}, preexec_fn=set_
    )
    prctl(PR_SET_TIMERSLACK, 50_000)  # we have a clock to look at, too
    running.receive_device()
    if target.is_weak:
        time.sleep(2)
        assert running.process.poll() is None
    else:
        sentence = "no proceed signal from the file system within 0.5 seconds"
        assert said(sentence) == running.wait().stderr


def scribe_of(running: Running) -> int:
    """The scribe, once its mount(8) waits for the table's lock."""

    def found() -> list[int]:
        return [
            pid
            for child in Path("/proc").glob(f"{running.process.pid}/task/*/children")
            for pid in map(int, child.read_text(encoding="ascii").split())
            if any(children_of(pid))
        ]

    until(found, "the scribe has started mount(8)")
    return found()[0]


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


@against(Change(INHERITED, SLACK, ""))
def test_what_root_does_for_the_table_ends(
    target: Target, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Anybody may hold the table's lock, and root's processes count for no user's limit: each mount
    would leave two of them.
    """
    with (utab.parent / "utab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = target.program.start(
            "-o", "x-demo", "--", mountpoint,
            user=caller, preexec_fn=prctl_of(PR_SET_TIMERSLACK, HOURS),
        )  # fmt: skip
        running.receive_device()
        scribe = scribe_of(running)
        running.process.send_signal(signal.SIGKILL)
        running.wait()
        deadline = time.monotonic() + SCRIBE_SECONDS
        while scribe in children() and time.monotonic() < deadline:
            os.waitpid(scribe, os.WNOHANG)
            time.sleep(0.05)

        assert (scribe in children()) == target.is_weak


@against(
    Change(
        "fusermount_py/helper/kernel/privilege.py",
        "    _be_scheduled_as_root()\n    posix",
        "    posix",
    )
)
@pytest.mark.parametrize(
    "set_",
    [lambda: os.nice(19), lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))],
    ids=["nice", "idle"],
)
def test_root_is_not_as_slow_as_its_caller(
    target: Target, caller: User, mountpoint: Path, utab: Path, set_: Callable[[], None]
) -> None:
    """
    With the table's lock held it could keep all others waiting, on a machine that has other work.
    """
    with (utab.parent / "utab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = target.program.start(
            "-o", "x-demo", "--", mountpoint, user=caller, preexec_fn=set_
        )
        running.receive_device()
        scribe = scribe_of(running)
        seen = os.getpriority(os.PRIO_PROCESS, scribe), os.sched_getscheduler(scribe)

    assert (seen != (0, os.SCHED_OTHER)) == target.is_weak


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere a system call tells the time")
@against(Change(INHERITED, "	prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);\n", ""))
def test_the_processors_clock_can_be_read(target: Target, caller: User) -> None:
    """
    Its C library looks at it, and would die of SIGSEGV: the exit status is 0 or 1.
    """
    result = target.program.run(
        "--wrong", user=caller, preexec_fn=prctl_of(PR_SET_TSC, PR_TSC_SIGSEGV)
    )

    assert (result.exit_status != 1) == target.is_weak
