"""
A fault at every system call of every flow: an error, SIGKILL, or SIGSTOP and later SIGCONT.

Afterwards there is a mount whose client has its device, or there is none; no process is left
(strace ends with the last of them), the client had an answer or end of file, the next mount works.
"""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel
from support.essential import essential_skip
from support.faults import KINDS, STOP_SAMPLE, Point, Traced
from support.mount_table import mounts_at
from support.program import END_OF_FILE, Message, Program, Running
from support.users import User

pytestmark = pytest.mark.timeout(900)


# A close that "fails" here has closed nothing, so that a thread's end is missed: the clock's case.
PATIENCE = {"_FUSE_PROCEED_TIMEOUT": "2", "_FUSE_INIT_TIMEOUT": "2"}


class Flow:
    """One way through the helper: `run` it, then `judge` what is there."""

    BEGINS = ""  # what an earlier flow does as well, up to a call with these words, is its part

    def __init__(self, traced: Traced, mountpoint: Path) -> None:
        self.traced = traced
        self.mountpoint = mountpoint

    def prepare(self) -> None:
        """What must be there before."""

    def run(self) -> str:
        """What the client saw: "mounted", "refused" or "done"."""
        raise NotImplementedError

    def judge(self, seen: str, kind: str) -> str:
        """What is wrong now, or ""."""
        there = mounts_at(self.mountpoint)
        if kind == "stopped" and seen != "mounted":
            return f"a stop changed the outcome to {seen}"
        if seen == "mounted":
            return "" if len(there) == 1 else f"the client has a device, mounts: {there}"
        if there and kind == "killed":
            return self.dead_but_the_callers()
        return f"left mounted: {there}" if there else ""

    def dead_but_the_callers(self) -> str:
        """Killed by its own caller between mounting and telling: like a server that died."""
        user, helper = self.traced.user, self.traced.helper
        try:
            user.call(os.stat, self.mountpoint)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                return f"not dead: {error}"
        result = helper.unmount(self.mountpoint, user=user)
        return "" if result.exit_status == 0 else f"cannot be unmounted: {result.stderr!r}"


class Classic(Flow):
    """The device is the answer."""

    def run(self) -> str:
        running = self.traced.start("-o", "fsname=demo", "--", self.mountpoint)
        exit_status = running.wait().exit_status
        message = received(running)
        assert (exit_status == 0) <= bool(message.descriptors), "success without a device"
        return "mounted" if message.descriptors else "refused"


class SyncInit(Flow):
    """The status is the answer, the device comes first."""

    def run(self) -> str:
        words = ("--sync-init", "--", self.mountpoint)
        running = self.traced.start(*words, environment=PATIENCE)
        return self.second_half(running)

    def second_half(self, running: Running) -> str:
        message = received(running)
        if message.descriptors:
            try:
                running.proceed()
            except OSError:
                pass
            message = received(running)
        running.wait()
        running.clean_up()  # the client goes, else a mount that is left would hang
        assert len(message.payload) in (0, 4), message
        return "mounted" if message.payload == bytes(4) else "refused"


class Create(SyncInit):
    """The thread that waits inside create, beside the one that watches."""

    def run(self) -> str:
        helper = self.traced.helper
        running = helper.start_sync_init(
            self.mountpoint, user=self.traced.user, environment=PATIENCE
        )
        device = running.receive_device()
        tracer = self.traced.attach(running.process.pid)
        running.proceed()
        message = received(running)
        running.wait()
        tracer.wait()
        assert device
        running.clean_up()
        return "mounted" if message.payload == bytes(4) else "refused"


class Unmount(Flow):
    """A plain one, by name, of a mount that nobody serves."""

    def prepare(self) -> None:
        self.traced.helper.mount(self.mountpoint, "fsname=demo", user=self.traced.user)

    def run(self) -> str:
        exit_status = self.traced.start("-u", "--", self.mountpoint).wait().exit_status
        return "unmounted" if exit_status == 0 else "refused"

    def judge(self, seen: str, kind: str) -> str:
        there = mounts_at(self.mountpoint)
        if kind == "stopped" and seen != "unmounted":
            return f"a stop changed the outcome to {seen}"
        if seen == "unmounted":
            return f"still mounted: {there}" if there else ""
        return ""  # still there, or gone and killed before it could say so


class Guard(Flow):
    """Mounted with auto_unmount; the client then goes, and the guard does its work."""

    BEGINS = "/guard"

    def run(self) -> str:
        running = self.traced.start("-o", "auto_unmount", "--", self.mountpoint)
        seen = "mounted" if received(running).descriptors else "refused"
        running.clean_up()
        return seen

    def judge(self, seen: str, kind: str) -> str:
        there = mounts_at(self.mountpoint)
        if kind == "stopped" and there:
            return f"a stop kept the guard from its work: {there}"
        return self.dead_but_the_callers() if there else ""


def received(running: Running) -> Message:
    try:
        return running.receive()
    except ConnectionResetError:
        return END_OF_FILE


FLOWS: dict[str, Callable[[Traced, Path], Flow]] = {
    "a classic mount": Classic,
    "a sync-init mount": SyncInit,
    "create": Create,
    "an unmount": Unmount,
    "a guard": Guard,
}


@pytest.fixture
def traced(ours: Program, caller: User) -> Iterator[Traced]:
    if not Path("/usr/bin/strace").exists():
        essential_skip("needs strace: apt-get install strace")
    traced = Traced(ours, caller)
    yield traced
    traced.strace.clean_up()
    traced.log.unlink(missing_ok=True)


def run_with(flow: Flow, kind: str, point: Point) -> str:
    """What is wrong after this fault, or ""."""
    flow.prepare()
    with flow.traced.fault(kind, point):
        seen = flow.run()
        wrong = flow.judge(seen, kind)
    for _ in mounts_at(flow.mountpoint):
        kernel.umount(flow.mountpoint)
    again = flow.traced.helper.mount(flow.mountpoint, user=flow.traced.user)
    if again.exit_status != 0:
        wrong += f"; the next mount failed: {again.stderr!r}"
    for _ in mounts_at(flow.mountpoint):
        kernel.umount(flow.mountpoint)
    flow.traced.helper.clean_up()
    flow.traced.helper._started.clear()  # noqa: SLF001  # hundreds of them per test
    return f"{point.call} #{point.number}: {wrong}" if wrong else ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FLOWS)
def test_after_a_fault_at_any_call_of(
    traced: Traced, mountpoint: Path, name: str, kind: str
) -> None:
    """
    The caller's signals, and the kernel's refusals, come when they like.
    """
    flow = FLOWS[name](traced, mountpoint)
    flow.prepare()
    flow.run()
    points = traced.points(everything=isinstance(flow, Create), after=flow.BEGINS)
    for _ in mounts_at(mountpoint):
        kernel.umount(mountpoint)

    assert len(points) > 10

    sample = points[::STOP_SAMPLE] if kind == "stopped" else points
    wrong = [run_with(flow, kind, point) for point in sample]

    assert [] == [what for what in wrong if what]
