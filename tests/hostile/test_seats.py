"""
Whose seats keep whom from mounting, and what thousands of them cost the others.

A seat is a lock of a helper between its mount_max check and its mount. How many there are, and on
which seats, is up to those who start helpers, let them wait, and kill some.
"""

import os
import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import kernel, seats
from support.faults import Traced
from support.mount_table import fuse_mounts
from support.program import Program, Running
from support.users import ROOT, PathLike, User
from support.weakened import Change, Target, against

SEATS = "fusermount_py/helper/kernel/seats.py"
MOUNT_MAX = "fusermount_py/helper/mount_max.py"


class Elsewhere(Program):
    """A helper started in the mount namespace of process `pid`."""

    def __init__(self, helper: Program, pid: int) -> None:
        super().__init__("/usr/bin/nsenter")
        self._helper = helper.path
        self._namespace = f"--mount=/proc/{pid}/ns/mnt"

    def start(self, *arguments: PathLike, user: User, **how: Any) -> Running:
        ids = ("--setuid", str(user.uid), "--setgid", str(user.gid), "--")
        words = (self._namespace, *ids, self._helper, *arguments)
        return super().start(*words, user=ROOT, argv0="nsenter", **how)


@pytest.fixture
def another_namespace(nothing_left: None) -> Iterator[int]:
    """A process in a mount namespace that root made, a container's say; its /run is ours."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        kernel.unshare(kernel.CLONE_NEWNS)
        os.write(writer, b"\0")
        signal.pause()
        os._exit(0)
    assert os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.fixture
def places(home: Path) -> list[Path]:
    """Mountpoints for anybody."""
    places = [home / f"place-{number}" for number in range(8)]
    for place in places:
        place.mkdir()
        place.chmod(0o777)
    return places


def wait_at(program: Program, mountpoint: Path, user: User, number: int) -> list[Running]:
    """So many helpers that have a seat each, and wait for the proceed byte."""
    waiting = [program.start_sync_init(mountpoint, user=user) for _ in range(number)]
    for running in waiting:
        running.receive_device()
    return waiting


@against(Change(SEATS, "namespace % _NAMESPACES * _SEATS", "0"))
def test_who_fills_the_seats_of_another_mount_namespace_takes_none_of_ours(
    target: Target,
    another_namespace: int,
    caller: User,
    another_user: User,
    places: list[Path],
    mountpoint: Path,
    fuse_conf: Callable[..., None],
) -> None:
    """
    Mounts are counted in one namespace: what waits in a container is none of the host's.
    """
    fuse_conf(f"mount_max = {fuse_mounts() + 3}\n")
    there = Elsewhere(target.program, another_namespace)
    wait_at(there, mountpoint, caller, 3)

    refused = there.mount(places[0], user=another_user)
    mounted = target.program.mount(places[0], user=another_user)
    there.clean_up()

    assert 1 == refused.exit_status
    assert target.is_weak == mounted.exit_status


@against(Change(SEATS, "if most > enough:", "if False:"))
def test_one_helper_on_a_high_seat_counts_as_one(
    target: Target,
    caller: User,
    another_user: User,
    places: list[Path],
    mountpoint: Path,
    fuse_conf: Callable[..., None],
) -> None:
    """
    Whoever had many helpers for a moment, and kept the last, would take all places for good.
    """
    fuse_conf(f"mount_max = {fuse_mounts() + 8}\n")
    *others, highest = wait_at(target.program, mountpoint, caller, 8)
    for running in others:
        running.process.kill()
        running.wait()

    results = [target.program.mount(place, user=another_user).exit_status for place in places]

    assert target.is_weak == ([0] * 7 + [1] != results)
    assert highest.process.poll() is None


@against(Change(MOUNT_MAX, "held + mounts <= config.mount_max", "1 + mounts <= config.mount_max"))
def test_free_seats_below_the_highest_let_nobody_pass_the_limit(
    target: Target,
    caller: User,
    another_user: User,
    places: list[Path],
    mountpoint: Path,
    fuse_conf: Callable[..., None],
) -> None:
    """
    A helper on a low seat has not counted those above it.
    """
    before = fuse_mounts()
    fuse_conf(f"mount_max = {before + 6}\n")
    low, *others = wait_at(target.program, mountpoint, caller, 6)
    for running in (low, *others[::2]):
        running.process.kill()
        running.wait()

    for place in places:
        target.program.mount(place, user=another_user)

    assert (6 if target.is_weak else 4) == fuse_mounts() - before


@against(Change(SEATS, "_GUESSES = 4", "_GUESSES = 0"))
def test_helpers_that_take_turns_climb_no_higher(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    Two of them would have everybody else look for the free seats below, one by one.
    """
    (running,) = wait_at(target.program, mountpoint, caller, 1)
    for _ in range(6):
        (follower,) = wait_at(target.program, mountpoint, caller, 1)
        running.process.kill()
        running.wait()
        running = follower

    assert [6 if target.is_weak else 0] == seats.taken()


def lock_calls(helper: Program, user: User, mountpoint: Path, held: Collection[int]) -> int:
    """How often a mount beside these seats asks the kernel for a lock, or about one."""
    traced = Traced(helper, user)
    with seats.held(held):
        running = traced.start("--", mountpoint)
        assert (0, b"") == running.wait()[0:3:2]
    running.receive_device()
    traced.strace.clean_up()
    trace = traced.log.read_text(encoding="utf-8")
    return trace.count("F_GETLK") + trace.count("F_SETLK")


@against(Change(SEATS, "min(end + step, _SEATS), 2 * step", "end + 1, 1"))
def test_beside_thousands_of_waiting_helpers_a_mount_asks_for_few_seats(
    target: Target, caller: User, mountpoint: Path, fuse_conf: Callable[..., None]
) -> None:
    """
    Each question makes the kernel look at all locks; one for each seat would be quadratic.
    """
    fuse_conf(f"mount_max = {fuse_mounts() + 5000}\n")

    assert target.is_weak == (lock_calls(target.program, caller, mountpoint, range(4000)) > 100)


@against(Change(SEATS, "(number * factor + summand) % size", "_"))
def test_nobody_can_leave_the_free_seats_where_they_are_found_last(
    target: Target, caller: User, mountpoint: Path, fuse_conf: Callable[..., None]
) -> None:
    """
    They are not looked for from one end: a hundred of 4,000 are free, and two have to be found.
    """
    fuse_conf(f"mount_max = {fuse_mounts() + 3998}\n")
    arranged = (*range(3900), 3999)

    assert target.is_weak == (lock_calls(target.program, caller, mountpoint, arranged) > 1000)
