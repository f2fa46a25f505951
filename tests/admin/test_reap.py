"""`fusermount-py reap`: every dead mount goes, and nothing else does."""

import io
import os
import random
import re
import resource
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support import kernel
from support.admin import Admin, Serve
from support.flows import until
from support.mount_table import mounts_at, mounts_below
from support.program import PATIENCE, Program
from support.users import ROOT, User


@pytest.fixture(params=["root", "owner"])
def reaper(request: pytest.FixtureRequest, caller: User) -> User:
    """Root takes mounts itself, their owner goes through the helper: both must be as careful."""
    return ROOT if request.param == "root" else caller


def test_dead_mounts_go_and_all_others_stay(
    admin: Admin, serve: Serve, reaper: User, home: Path
) -> None:
    """
    A hung server may come back with its data, and a starting one has not even begun.
    """
    serve(home / "alive")
    serve(home / "hung").peer.stop()
    serve(home / "starting", init=None)
    serve(home / "dead").peer.kill()

    result = admin.run("reap", user=reaper)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert f"unmounted {home / 'dead'} (connection " in result.stdout.decode()
    left = [os.path.basename(entry.mountpoint) for entry in mounts_below(home)]
    assert [b"alive", b"hung", b"starting"] == left


def test_dry_run_only_tells(
    admin: Admin, serve: Serve, reaper: User, home: Path, mountpoint: Path
) -> None:
    """
    One looks before one takes away.
    """
    serve(home / "alive")
    serve(mountpoint).peer.kill()

    (found,) = admin.json("reap", "--dry-run", user=reaper)

    assert (str(mountpoint), "dead") == (found["mountpoint"], found["outcome"])
    assert 1 == len(mounts_at(mountpoint))


def test_bind_copies_of_a_dead_mount_go_as_well(
    admin: Admin, serve: Serve, reaper: User, home: Path, mountpoint: Path
) -> None:
    """
    Each of them fails every program that meets it.
    """
    served = serve(mountpoint)
    copy = home / "copy"
    copy.mkdir()
    kernel.mount(mountpoint, copy, flags=kernel.MS_BIND)
    served.peer.kill()

    assert 0 == admin.run("reap", user=reaper).exit_status
    assert [] == mounts_below(home)


def test_a_living_mount_on_a_dead_one_stays_and_the_dead_one_is_reported(
    admin: Admin, serve: Serve, reaper: User, mountpoint: Path
) -> None:
    """
    The path of the dead one leads to the living one.
    """
    served = serve(mountpoint)
    kernel.mount("tmpfs", mountpoint, "tmpfs")
    served.peer.kill()

    result = admin.run("reap", user=reaper)

    assert 1 == result.exit_status
    assert f"fusermount-py: {mountpoint} is covered by another mount\n" == result.stderr.decode()
    assert 2 == len(mounts_at(mountpoint))


def test_a_stack_of_dead_mounts_goes_from_the_top(
    admin: Admin, serve: Serve, reaper: User, home: Path, mountpoint: Path
) -> None:
    """
    What lies below comes to light only when the upper one is gone.
    """
    served = serve(mountpoint)
    for _ in range(2):
        kernel.mount(mountpoint, mountpoint, flags=kernel.MS_BIND)
    served.peer.kill()

    assert 0 == admin.run("reap", user=reaper).exit_status
    assert [] == mounts_below(home)


def test_an_ordinary_user_reaps_nothing_of_others(
    admin: Admin, serve: Serve, another_user: User, mountpoint: Path
) -> None:
    """
    It is none of theirs, dead or not.
    """
    serve(mountpoint).peer.kill()

    assert (0, b"", b"") == admin.run("reap", user=another_user)[:3]
    assert 1 == len(mounts_at(mountpoint))


def test_a_mount_held_by_a_hidden_process_is_asked_and_stays(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    A server run by root does not show itself to the mount's owner: no holder seen, not dead.
    """
    serve(mountpoint, user=ROOT)

    result = admin.run("reap", user=caller)

    assert f"fusermount-py: {mountpoint} answers: it is not dead\n" == result.stderr.decode()
    assert 1 == len(mounts_at(mountpoint))


def test_watch_waits_for_the_last_holder_of_a_device(
    admin: Admin, ours: Program, reaper: User, caller: User, mountpoint: Path
) -> None:
    """
    Servers have workers and supervisors: the mount lives as long as one of them could serve it.
    """
    device = mounted_device(ours, caller, mountpoint)
    servers = [ours.serve(device, user=caller) for _ in range(2)]
    device.close()
    watcher = admin.start("reap", "--watch", user=reaper)
    wait_until_quiet(watcher.pid)

    servers[0].kill()
    wait_until_quiet(watcher.pid)
    assert 1 == len(mounts_at(mountpoint))

    servers[1].kill()
    wait_until_gone([mountpoint])


def test_watch_learns_of_a_server_that_gets_its_device_later(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Container engines mount, hand the device to a container, and live on: their end says nothing
    about the mount, and neither the mount table nor any process tells of the handing over.
    """
    device = mounted_device(ours, caller, mountpoint)
    watcher = admin.start("reap", "--watch", user=ROOT)
    until(lambda: os.getpid() in followed(watcher.pid), "we are taken for the server")
    server = ours.serve(device, user=caller)
    device.close()

    until(lambda: server.pid in followed(watcher.pid), "the server is known")
    server.kill()
    wait_until_gone([mountpoint])


def test_watch_that_cannot_watch_all_servers_says_so_and_ends(
    admin: Admin, serve: Serve, home: Path
) -> None:
    """
    A service that looks as if it worked, and overlooks some of the dead, is worse than none.
    """
    for number in range(20):
        serve(home / f"{number}")
    limit = (resource.RLIMIT_NOFILE, (20, 20))

    result = admin.run("reap", "--watch", preexec_fn=lambda: resource.setrlimit(*limit))

    assert 1 == result.exit_status
    assert b"Error: 20 servers are more than can be watched: raise the limit of open files" in (
        result.stderr
    )


@pytest.mark.timeout(120)
def test_watch_reaps_a_hundred_servers_as_they_die_and_touches_no_other(
    admin: Admin, serve: Serve, reaper: User, home: Path
) -> None:
    """
    A machine that runs many servers stays clean by itself, at no cost while nothing happens.
    """
    served = [serve(home / f"{number}") for number in range(120)]
    watcher = admin.start("reap", "--watch", user=reaper)
    doomed = random.sample(served, 100)
    for killed in (doomed[:30], doomed[30:31], doomed[31:]):
        for each in killed:
            each.peer.kill()
        wait_until_gone([each.mountpoint for each in killed])

    wait_until_quiet(watcher.pid)
    assert 20 == len(mounts_below(home))
    assert watcher.poll() is None


def mounted_device(program: Program, user: User, mountpoint: Path) -> io.FileIO:
    """A mount that nobody serves yet."""
    device = program.mount(mountpoint, "fsname=demo", user=user).device
    assert device is not None
    return device


def followed(pid: int) -> list[int]:
    """The processes whose end this one waits for, by a pidfd each."""
    found = []
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found += re.findall(r"^Pid:\t(\d+)$", info.read_text(encoding="ascii"), re.MULTILINE)
    return [int(each) for each in found]


def wait_until_gone(doomed: list[Path]) -> None:
    until(lambda: not any(mounts_at(path) for path in doomed), "dead mounts are reaped")


def wait_until_quiet(pid: int) -> None:
    """Until the process uses no processor time for a second."""
    assert any(is_quiet(pid) for _ in range(PATIENCE))


def is_quiet(pid: int) -> bool:
    before = processor_time(pid)
    time.sleep(1)
    return before == processor_time(pid)


def processor_time(pid: int) -> tuple[int, int]:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])
