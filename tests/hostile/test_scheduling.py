"""
Scheduling that survives exec: the caller's policy and niceness are the helper's, and the scribe's.

One that may run before all others (SCHED_FIFO, where RLIMIT_RTPRIO lets users have it), or only
when nobody else wants to, is no reason for a clock not to ring, nor for anyone else to wait.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support.flows import said, until
from support.mount_table import mounts_at
from support.program import Program
from support.users import User

POLICIES = {
    "SCHED_FIFO": (os.SCHED_FIFO, 1, 0),
    "SCHED_RR": (os.SCHED_RR, 1, 0),
    "SCHED_BATCH": (os.SCHED_BATCH, 0, 0),
    "SCHED_IDLE": (os.SCHED_IDLE, 0, 0),
    "nice 19": (os.SCHED_OTHER, 0, 19),
}
Scheduled = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=list(POLICIES))
def scheduled(request: pytest.FixtureRequest) -> Scheduled:
    """
    Within it, what is started has the policy, as what a user's own program starts would.

    By this process, since only root may have it where RLIMIT_RTPRIO is 0, and cannot be raised.
    """
    policy, priority, niceness = POLICIES[request.param]

    @contextlib.contextmanager
    def within() -> Iterator[None]:
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        except PermissionError:
            pytest.skip("needs CAP_SYS_NICE, and real time for this control group")
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        try:
            yield
        finally:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    return within


@pytest.fixture
def busy() -> Iterator[None]:
    """Every processor has an ordinary program's work to do, so that the idle wait long."""
    workers = []
    for _ in range(os.cpu_count() or 1):
        worker = os.fork()
        while worker == 0:
            pass
        workers.append(worker)
    yield
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)


def test_a_scheduled_helper_mounts_and_unmounts(
    ours: Program, caller: User, mountpoint: Path, utab: Path, scheduled: Scheduled
) -> None:
    """
    Backup jobs run with nice or as SCHED_IDLE, audio programs before all others.
    """
    with scheduled():
        mounted = ours.mount(mountpoint, "fsname=demo,x-demo", user=caller)
        until(utab.read_text, "a record")
        recorded = utab.read_text()
        unmounted = ours.unmount(mountpoint, user=caller)

    assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]
    assert f"TARGET={mountpoint} " in recorded
    until(lambda: not utab.read_text(), "its end")


def test_its_clock_rings(
    ours: Program, caller: User, mountpoint: Path, busy: None, scheduled: Scheduled
) -> None:
    """
    A thread that never gets its turn would be a helper that waits for ever, and keeps its seat.
    """
    with scheduled():
        running = ours.start_sync_init(
            mountpoint, user=caller, environment={"_FUSE_PROCEED_TIMEOUT": "0.3"}
        )
    running.receive_device()

    result = running.wait()

    assert 1 == result.exit_status
    assert said("no proceed signal from the file system within 0.3 seconds") == result.stderr
    assert [] == mounts_at(mountpoint)


def test_nobody_else_waits_for_it(
    ours: Program, caller: User, another_user: User, home: Path, mountpoint: Path, busy: None,
    fuse_conf: Callable[..., None], scheduled: Scheduled,
) -> None:  # fmt: skip
    """
    Helpers of one user before all others, or behind them all with a seat each, and another's mount.
    """
    fuse_conf("mount_max = 20\n")
    place = home / "open"
    place.mkdir()
    place.chmod(0o777)
    with scheduled():
        running = [ours.start_sync_init(mountpoint, user=caller) for _ in range(8)]

    mounted = ours.mount(place, user=another_user)

    assert (0, b"", b"") == mounted[:3]
    for started in running:
        started.receive_device()
        started.comm.close()
        assert 1 == started.wait().exit_status
