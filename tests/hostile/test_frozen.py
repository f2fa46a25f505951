"""
A control group that is given to a user may be frozen by that user at any moment.

Login sessions and containers have such groups. Whoever is in one stands still with it, root's
processes too, and unlike SIGSTOP no uid protects from it: what stands still holds what it holds.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cgroup import Group, delegated
from support.flows import until
from support.mount_table import mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change, Target, against

VERSIONS = {"version 1": "freezer", "version 2": ""}
MOMENTS = tuple(range(0, 60, 4))  # milliseconds; a mount takes some thirty


@pytest.fixture(params=list(VERSIONS))
def group(request: pytest.FixtureRequest, nothing_left: None, caller: User) -> Iterator[Group]:
    with delegated(caller, VERSIONS[request.param]) as group:
        yield group


@pytest.fixture
def second_version(nothing_left: None, caller: User) -> Iterator[Group]:
    with delegated(caller) as group:
        yield group


@pytest.fixture
def open_place(home: Path) -> Path:
    """A directory in which everybody may mount."""
    place = home / "open"
    place.mkdir()
    place.chmod(0o777)
    return place


def waits_for_a_lock(pid: int) -> bool:
    table = Path("/proc/locks").read_text(encoding="ascii")
    return any(f" {pid} " in line and "-> " in line for line in table.splitlines())


@pytest.mark.parametrize("table", ["with utab", "without utab"])
def test_a_mount_may_be_frozen_at_any_moment(
    request: pytest.FixtureRequest, ours: Program, caller: User, another_user: User,
    mountpoint: Path, open_place: Path, group: Group, fuse_conf: Callable[..., None], table: str,
) -> None:  # fmt: skip
    """
    Else it keeps a lock, or a place of mount_max, and everybody else waits for one user's thaw.
    """
    if table == "with utab":
        request.getfixturevalue("utab")
    fuse_conf("mount_max = 20\n")  # few enough that seats are counted, and looked for

    for moment in MOMENTS:
        running = ours.start(
            "-o", "fsname=demo,x-demo", "--", mountpoint, user=caller, preexec_fn=group.enter
        )
        time.sleep(moment / 1000)
        group.freeze()
        mounted = ours.mount(open_place, "fsname=another", user=another_user)
        unmounted = ours.unmount(open_place, user=another_user)
        group.thaw()

        assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]
        assert (0, b"", b"") == running.wait()[:3]
        assert (0, b"", b"") == ours.unmount(mountpoint, user=caller)[:3]


@against(
    Change(
        "fusermount_py/helper/kernel/seats.py",
        "posix.lockf(self._descriptor, posix.F_TLOCK, 1)",
        "posix.lockf(self._descriptor, posix.F_LOCK, 1)",
    )
)
def test_nobody_waits_for_the_seat_of_one_that_is_frozen(
    ours: Program, target: Target, caller: User, another_user: User, mountpoint: Path,
    open_place: Path, group: Group, fuse_conf: Callable[..., None],
) -> None:  # fmt: skip
    """
    A lock that is waited for would give one user everybody's mounts, for as long as it pleases.
    """
    fuse_conf("mount_max = 20\n")
    frozen = ours.start_sync_init(mountpoint, user=caller, preexec_fn=group.enter)
    frozen.receive_device()
    group.freeze()

    running = target.program.start("--", open_place, user=another_user)
    until(
        lambda: running.process.poll() is not None or waits_for_a_lock(running.process.pid),
        "its end, or its wait for a lock",
    )
    waits = running.process.poll() is None
    group.thaw()
    frozen.proceed()

    assert 0 == frozen.read_status()
    assert 0 == running.wait().exit_status
    assert waits == target.is_weak


def test_the_clock_of_a_frozen_helper_has_rung_when_it_thaws(
    ours: Program, caller: User, mountpoint: Path, group: Group
) -> None:
    """
    Time goes on in the cold: whoever is thawed after its time has one thing left to do, to end.
    """
    running = ours.start_sync_init(
        mountpoint, user=caller, preexec_fn=group.enter,
        environment={"_FUSE_PROCEED_TIMEOUT": "0.5"},
    )  # fmt: skip
    running.receive_device()
    group.freeze()
    time.sleep(0.6)
    group.thaw()

    result = running.wait()

    assert (1, 1) == (result.exit_status, result.stderr.count(b"\n"))
    assert b"no proceed signal from the file system within 0.5 seconds" in result.stderr
    assert [] == mounts_at(mountpoint)


LONG_TABLE = "SRC=tmpfs TARGET=/nowhere ROOT=/ OPTS=x-demo\n" * 40_000  # takes mount(8) a while


def is_locked(utab: Path) -> bool:
    lock = utab.with_name("utab.lock")
    if not lock.exists():
        return False
    device, inode = lock.stat().st_dev, lock.stat().st_ino
    name = f" {os.major(device):02x}:{os.minor(device):02x}:{inode} "
    return name in Path("/proc/locks").read_text(encoding="ascii")


def is_being_written(utab: Path) -> bool:
    return not {path.name for path in utab.parent.iterdir()} <= {"utab", "utab.lock"}


@pytest.fixture
def at_the_table(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> Callable[[Group, Callable[[Path], bool]], None]:
    """Starts a mount in a group; returns when its mount(8) has come so far with the table."""

    def start(group: Group, has_come: Callable[[Path], bool]) -> None:
        utab.write_text(LONG_TABLE)
        options = "fsname=demo,x-demo"
        ours.start("-o", options, "--", mountpoint, user=caller, preexec_fn=group.enter)
        until(lambda: has_come(utab), "mount(8) at its work")

    return start


def test_no_process_of_roots_is_its_users_to_freeze(
    group: Group, at_the_table: Callable[..., None]
) -> None:
    """
    Else root's own mount(8), or udisks, waits for the table's lock until a user thaws its holder;
    and the frozen stay, killed helper or not.
    """
    at_the_table(group, is_locked)

    assert [] == group.root_processes()


def test_no_process_of_roots_is_its_users_to_kill(
    utab: Path, second_version: Group, at_the_table: Callable[..., None]
) -> None:
    """
    A mount(8) that is killed at its work leaves a file in /run/mount: root's, counted to nobody;
    and the next try leaves another.
    """
    at_the_table(second_version, is_being_written)
    second_version.kill()
    until(lambda: not second_version.processes(), "an empty group")
    until(lambda: not is_locked(utab), "the end of mount(8)")

    assert not is_being_written(utab)
