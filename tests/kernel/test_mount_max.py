"""mount_max is never exceeded, and nobody waits for anybody (contract, section 7)."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.flows import classic, receive_armed, refused
from support.mount_table import fuse_mounts
from support.program import Program, Result
from support.users import ROOT, User

Mount = Callable[..., Result]
Conf = Callable[[str], None]
TOO_MANY = "too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf"


@pytest.fixture
def allow(ours: Program, fuse_conf: Conf) -> Callable[[int], None]:
    """Have mount_max leave room for so many more mounts."""
    already = fuse_mounts()
    return lambda more: fuse_conf(f"mount_max = {already + more}\n")


@pytest.fixture
def mountpoints(home: Path, caller: User) -> list[Path]:
    paths = [home / str(number) for number in range(50)]
    for path in paths:
        path.mkdir()
        os.chown(path, caller.uid, caller.gid)
    return paths


@contextlib.contextmanager
def watching() -> Iterator[list[int]]:
    """The largest number of FUSE mounts that was ever seen while the block ran."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            most[0] = max(most[0], fuse_mounts())

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield most
    done.set()
    watcher.join()
    most[0] = max(most[0], fuse_mounts())  # the watcher may have blinked last


def test_fifty_at_once_are_as_many_as_allowed(
    ours: Program, caller: User, mountpoints: list[Path], allow: Callable[[int], None]
) -> None:
    """
    Counting and mounting are two moments; a limit that a crowd can pass is none.
    """
    allow(20)
    before = fuse_mounts()
    with watching() as most:
        crowd = [ours.start("--", path, user=caller) for path in mountpoints]
        results = [running.wait() for running in crowd]

    assert 20 == sum(Result(0, b"", b"") == result for result in results)
    assert 30 == sum(refused(TOO_MANY) == result for result in results)
    assert before + 20 == fuse_mounts() == most[0]


def test_nor_more_when_the_seats_were_left_in_disorder(
    ours: Program, caller: User, mountpoints: list[Path], allow: Callable[[int], None]
) -> None:
    """
    Then the crowd looks for free seats among those of the others, while they come and go.
    """
    allow(20)
    before = fuse_mounts()
    waiting = [ours.start_sync_init(mountpoints[0], user=caller) for _ in range(20)]
    for running in waiting:
        running.receive_device()
    for running in waiting[:10] + waiting[11:-1]:
        running.process.kill()
        running.wait()
    with watching() as most:
        crowd = [ours.start("--", path, user=caller) for path in mountpoints]
        results = [running.wait() for running in crowd]

    assert 18 == sum(Result(0, b"", b"") == result for result in results)
    assert 32 == sum(refused(TOO_MANY) == result for result in results)
    assert before + 18 == fuse_mounts() == most[0]


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGCONT])
def test_helpers_that_wait_for_proceed_count_and_make_nobody_wait(
    ours: Program,
    caller: User,
    mountpoints: list[Path],
    allow: Callable[[int], None],
    number: signal.Signals,
) -> None:
    """
    They will mount without asking again; stopped, they would hold a lock for ever.
    """
    allow(5)
    before = fuse_mounts()
    places = iter(mountpoints)
    waiting = [ours.start_sync_init(next(places), user=caller) for _ in range(3)]
    for running in waiting:
        running.receive_device()
        running.process.send_signal(number)

    results = [classic(ours, next(places), user=caller) for _ in range(3)]

    assert [0, 0, 1] == [result.exit_status for result in results]
    assert refused(TOO_MANY) == results[-1]
    with watching() as most:
        for running in waiting:
            running.process.send_signal(signal.SIGCONT)
            running.proceed()
        assert [0, 0, 0] == [running.read_status() for running in waiting]
        for running in waiting:
            running.wait()
    assert before + 5 == fuse_mounts() == most[0]


def test_a_killed_helper_leaves_its_place_to_another(
    ours: Program, caller: User, mountpoints: list[Path], allow: Callable[[int], None]
) -> None:
    """
    Otherwise a user could use up the limit with nothing mounted at all.
    """
    allow(1)
    running = ours.start_sync_init(mountpoints[0], user=caller)
    running.receive_device()
    assert refused(TOO_MANY) == classic(ours, mountpoints[1], user=caller)

    running.process.send_signal(signal.SIGKILL)
    running.wait()

    assert 0 == classic(ours, mountpoints[1], user=caller).exit_status


def test_a_refused_mount_takes_no_place(
    mount: Mount, caller: User, mountpoints: list[Path], allow: Callable[[int], None]
) -> None:
    """
    Nor does one that was unmounted.
    """
    allow(1)

    for _ in range(3):
        assert 1 == mount(mountpoints[0], "wrong", user=caller).exit_status
    assert 0 == mount(mountpoints[0], user=caller).exit_status


def test_an_unmount_makes_room(
    ours: Program,
    mount: Mount,
    caller: User,
    mountpoints: list[Path],
    allow: Callable[[int], None],
) -> None:
    """
    The mount table is what counts, not how often someone has mounted.
    """
    allow(1)
    assert 0 == mount(mountpoints[0], "subtype=demo", user=caller).exit_status
    assert refused(TOO_MANY) == mount(mountpoints[1], user=caller)

    ours.unmount(mountpoints[0], user=caller)

    assert 0 == mount(mountpoints[1], user=caller).exit_status


def test_minus_one_is_no_limit(
    mount: Mount, caller: User, mountpoints: list[Path], fuse_conf: Conf
) -> None:
    """
    The one negative number that means something.
    """
    fuse_conf("mount_max = -1\n")

    assert 0 == mount(mountpoints[0], user=caller).exit_status


def test_root_is_not_counted_against(
    mount: Mount, caller: User, mountpoints: list[Path], fuse_conf: Conf
) -> None:
    """
    The limit is for those who may not raise it.
    """
    fuse_conf("mount_max = 0\n")

    assert refused(TOO_MANY) == mount(mountpoints[0], user=caller)
    assert 0 == mount(mountpoints[0], user=ROOT).exit_status


def test_a_place_is_kept_until_the_server_has_answered(
    ours: Program, caller: User, mountpoints: list[Path], allow: Callable[[int], None]
) -> None:
    """
    A created mount that waits for FUSE_INIT is in no table yet.
    """
    allow(1)
    running = ours.start_sync_init(mountpoints[0], user=caller)
    device = receive_armed(running)
    running.proceed()

    assert refused(TOO_MANY) == classic(ours, mountpoints[1], user=caller)

    ours.serve(device)
    assert 0 == running.read_status()
