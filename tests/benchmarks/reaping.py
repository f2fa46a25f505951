"""The admin's `reap --watch`: how soon the mounts of killed servers are gone, and what it costs."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import guards
from benchmarks.listing import ENVIRONMENT, PROGRAM
from benchmarks.spawn import Helper
from support.mount_table import mounts_below
from support.users import CALLER

IDLE_SECONDS = 2.0
INTERVALS = 5
PATIENCE = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Reaping(NamedTuple):
    """Seconds from so many servers' death to their mounts' end; seconds of work while idle."""

    killed: int
    seconds: float
    idle_work: float


def measure(helper: Helper, count: int, killed: int) -> Reaping:
    """Of `count` mounts as many lose their server at once; the others must stay."""
    home = guards.mountpoints("reaping", count)
    pairs = CALLER.call(guards.start_served, helper, home, count)
    watcher = subprocess.Popen(
        [*PROGRAM, "reap", "--watch"], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    try:
        idle_work = _idle_work(watcher.pid)
        servers = [server for _, server in pairs]
        begin = time.monotonic()
        for server in random.sample(servers, killed):
            os.kill(server, signal.SIGKILL)
        while len(mounts_below(home)) > count - killed:
            assert time.monotonic() < begin + PATIENCE, "a dead mount is not reaped"
            time.sleep(0.005)
        seconds = time.monotonic() - begin
        _idle_work(watcher.pid)
        assert count - killed == len(mounts_below(home)), "a living mount was taken"
    finally:
        watcher.kill()
        watcher.wait()
        guards.reap([pid for pair in pairs for pid in pair])
    return Reaping(killed, seconds, idle_work)


def _idle_work(pid: int) -> float:
    """Seconds of processor time that it uses while nothing happens; it may come to rest first."""
    work = 0.0
    for _ in range(INTERVALS):
        before = _processor_time(pid)
        time.sleep(IDLE_SECONDS)
        work = _processor_time(pid) - before
        if work == 0:
            break
    return work


def _processor_time(pid: int) -> float:
    text = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
