"""
Rounds: bare interpreter, then each helper in turn, then again.

The machine's mood changes from second to second; what is compared is measured side by side. The
first rounds are for the caches and are not kept.
"""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import spawn
from benchmarks.spawn import Helper
from support import kernel
from support.machine import SCRATCH
from support.users import CALLER

BARE = "bare"
FD, SYNC_INIT, UNMOUNT, VERSION, HELP, FEATURES, SEQUENCE = (
    "time to fd, classic", "time to mounted, sync-init", "unmount", "--version", "--help",
    "--features", "--help, --features, sync-init mount",
)  # fmt: skip
WARM_UP = 3

Times = dict[str, dict[str, list[float]]]  # figure: {program: milliseconds}


class Crowd(NamedTuple):
    """So many mounts and unmounts, some at a time."""

    mounts_per_second: float
    bare_starts_per_second: float


def measure(helpers: list[Helper], rounds: int) -> Times:
    """Every figure for every helper, as the ordinary user."""
    return CALLER.call(_measure, helpers, rounds, _directory("mountpoint"))


def _measure(helpers: list[Helper], rounds: int, mountpoint: Path) -> Times:
    os.chdir("/")
    gc.disable()
    times: Times = {}

    def keep(figure: str, program: str, seconds: float) -> None:
        times.setdefault(figure, {}).setdefault(program, []).append(1000 * seconds)

    with_sync_init = [helper for helper in helpers if spawn.has_sync_init(helper)]
    for number in range(-WARM_UP, rounds):
        if number == 0:
            times.clear()
        keep(BARE, BARE, spawn.bare())
        for helper in helpers:
            keep(VERSION, helper.name, spawn.answer(helper, "--version"))
            keep(HELP, helper.name, spawn.answer(helper, "--help"))
            keep(FD, helper.name, _mount(spawn.mount_classic, helper, mountpoint))
            keep(UNMOUNT, helper.name, spawn.unmount(helper, mountpoint))
        for helper in with_sync_init:
            keep(FEATURES, helper.name, spawn.answer(helper, "--features"))
            keep(SYNC_INIT, helper.name, _mount(spawn.mount_sync_init, helper, mountpoint))
            spawn.unmount(helper, mountpoint)
            asked = spawn.answer(helper, "--help") + spawn.answer(helper, "--features")
            mounted = _mount(spawn.mount_sync_init, helper, mountpoint)
            keep(SEQUENCE, helper.name, asked + mounted)
            spawn.unmount(helper, mountpoint)
        for helper in helpers:
            if helper not in with_sync_init:  # its library looks at --help, and mounts
                asked = spawn.answer(helper, "--help")
                mounted = _mount(spawn.mount_classic, helper, mountpoint)
                keep(SEQUENCE, helper.name, asked + mounted)
                spawn.unmount(helper, mountpoint)
    return times


def add(so_far: Times, more: Times) -> None:
    """Put the samples of another measurement behind those there are."""
    for figure, by_program in more.items():
        for program, samples in by_program.items():
            so_far.setdefault(figure, {}).setdefault(program, []).extend(samples)


def _mount(how: Callable[[Helper, Path], spawn.Mounted], helper: Helper, mountpoint: Path) -> float:
    mounted = how(helper, mountpoint)
    spawn.finish(mounted.pid)
    mounted.let_go()
    return mounted.seconds


def measure_crowd(helper: Helper, count: int, at_a_time: int) -> Crowd:
    """Mounts and unmounts, `at_a_time` in parallel; a failed one ends the benchmark."""
    mountpoints = [_directory(f"crowd-{number}") for number in range(at_a_time)]
    return CALLER.call(_measure_crowd, helper, count // at_a_time, mountpoints)


def _measure_crowd(helper: Helper, each: int, mountpoints: list[Path]) -> Crowd:
    def mount_and_unmount(mountpoint: Path) -> None:
        _mount(spawn.mount_classic, helper, mountpoint)
        spawn.unmount(helper, mountpoint)

    def start_bare(_mountpoint: Path) -> None:
        spawn.bare()

    def per_second(work: Callable[[Path], None]) -> float:
        done = []

        def several(mountpoint: Path) -> None:
            for _ in range(each):
                work(mountpoint)
                done.append(mountpoint)

        threads = [threading.Thread(target=several, args=(path,)) for path in mountpoints]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert each * len(mountpoints) == len(done), "a mount or an unmount failed"
        return len(done) / (time.perf_counter() - begin)

    bare = per_second(start_bare)
    return Crowd(per_second(mount_and_unmount), bare)


@contextmanager
def other_mounts(count: int) -> Iterator[None]:
    """So many more mounts in the table, none of them FUSE."""
    others = SCRATCH / "others"
    others.mkdir()
    kernel.mount("others", others, "tmpfs")
    for number in range(count):
        path = others / str(number)
        path.mkdir()
        kernel.mount(others, path, flags=kernel.MS_BIND)
    try:
        yield
    finally:
        kernel.umount(others)
        others.rmdir()


def _directory(name: str) -> Path:
    path = SCRATCH / name
    path.mkdir(exist_ok=True)
    os.chown(path, CALLER.uid, CALLER.gid)
    return path
