"""A mount beside thousands of helpers that wait: time to fd with their seats held, and alone."""

import os
from pathlib import Path
from typing import NamedTuple

from benchmarks import spawn
from benchmarks.spawn import Helper
from support import seats
from support.machine import SCRATCH, write_fuse_conf
from support.users import CALLER

KEPT = 5


class Waiting(NamedTuple):
    """Milliseconds to fd with no seat held, and with so many."""

    seats: int
    alone: list[float]
    beside: list[float]


def measure(helper: Helper, count: int, rounds: int) -> Waiting:
    """The two in turn: the machine is not itself for long."""
    mountpoint = SCRATCH / "waiting"
    mountpoint.mkdir()
    os.chown(mountpoint, CALLER.uid, CALLER.gid)
    write_fuse_conf(f"mount_max = {2 * count}\n")
    waiting = Waiting(count, [], [])
    for _ in range(rounds):
        waiting.alone.extend(CALLER.call(_to_fd, helper, mountpoint))
        with seats.held(range(count)):
            waiting.beside.extend(CALLER.call(_to_fd, helper, mountpoint))
    write_fuse_conf("")
    return waiting


def _to_fd(helper: Helper, mountpoint: Path) -> list[float]:
    os.chdir("/")
    times = []
    for _ in range(1 + KEPT):
        mounted = spawn.mount_classic(helper, mountpoint)
        spawn.finish(mounted.pid)
        mounted.let_go()
        times.append(1000 * mounted.seconds)
        spawn.unmount(helper, mountpoint)
    return times[1:]  # the first is for the caches
