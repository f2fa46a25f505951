"""auto_unmount: a dead server's mount goes, and only that one (contract, section 4)."""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from support import kernel
from support.flows import receive_armed, refused, until
from support.mount_table import mount_at, mounts_at
from support.peer import Peer
from support.program import Program, Result, Running
from support.users import ROOT, User


class Guarded(NamedTuple):
    """A mount, its server, which holds the comm socket, and the guard that watches it."""

    guard: Running
    peer: Peer


Guard = Callable[..., Guarded]


def guard_by_classic(ours: Program, mountpoint: Path, user: User) -> Guarded:
    running = ours.start("-o", "auto_unmount", "--", mountpoint, user=user)
    device = running.receive_device()
    peer = ours.serve(device, holding=(running.comm,))
    device.close()
    running.comm.close()
    return Guarded(running, peer)


def guard_by_sync_init(ours: Program, mountpoint: Path, user: User) -> Guarded:
    running = ours.start_sync_init(mountpoint, "auto_unmount", user=user)
    device = receive_armed(running)
    peer = ours.serve(device, holding=(running.comm,))
    running.proceed()
    assert 0 == running.read_status()
    device.close()
    running.comm.close()
    return Guarded(running, peer)


def guard_existing(ours: Program, mountpoint: Path, user: User) -> Guarded:
    result = ours.mount(mountpoint, user=user)
    assert result.device is not None
    running = ours.start("--auto-unmount", "--", mountpoint, user=user)
    peer = ours.serve(result.device, holding=(running.comm,))
    result.device.close()
    running.comm.close()
    return Guarded(running, peer)


@pytest.fixture(params=[guard_by_classic, guard_by_sync_init, guard_existing])
def guard(request: pytest.FixtureRequest, ours: Program, mountpoint: Path) -> Guard:
    """Mounts at `mountpoint` as a user, and has it guarded in each of the three ways."""

    def guard(user: User) -> Guarded:
        guarded: Guarded = request.param(ours, mountpoint, user)
        until(lambda: b"guard" in command_of(guarded), "the helper becomes the guard")
        return guarded

    return guard


def command_of(guarded: Guarded) -> bytes:
    return Path(f"/proc/{guarded.guard.process.pid}/cmdline").read_bytes()


def status_of(guarded: Guarded) -> dict[str, str]:
    lines = Path(f"/proc/{guarded.guard.process.pid}/status").read_text(encoding="ascii")
    return dict(line.split(":\t") for line in lines.splitlines())


@pytest.mark.parametrize("who", ["caller", "root"])
def test_a_killed_servers_mount_goes(
    guard: Guard, caller: User, mountpoint: Path, who: str
) -> None:
    """
    What auto_unmount is for. The guard says nothing and succeeds.
    """
    guarded = guard(caller if who == "caller" else ROOT)
    assert mount_at(mountpoint)

    guarded.peer.kill()

    assert Result(0, b"", b"") == guarded.guard.wait()
    assert [] == mounts_at(mountpoint)


def test_the_guard_goes_by_what_roots_symlink_led_to(
    ours: Program, home: Path, mountpoint: Path
) -> None:
    """
    It looks again, and follows no link then.
    """
    link = home / "link"
    link.symlink_to(mountpoint)
    guarded = guard_by_classic(ours, link, ROOT)
    until(lambda: b"guard" in command_of(guarded), "the helper becomes the guard")
    link.unlink()

    guarded.peer.kill()

    assert Result(0, b"", b"") == guarded.guard.wait()
    assert [] == mounts_at(mountpoint)


def test_after_a_clean_unmount_there_is_nothing_to_do(
    ours: Program, guard: Guard, caller: User, mountpoint: Path
) -> None:
    """
    The guard ends with its server, and without a word.
    """
    guarded = guard(caller)
    assert 0 == ours.unmount(mountpoint, user=caller).exit_status

    guarded.peer.kill()

    assert Result(0, b"", b"") == guarded.guard.wait()
    assert [] == mounts_at(mountpoint)


def test_a_removed_mountpoint_is_nothing_to_do(
    ours: Program, guard: Guard, caller: User, mountpoint: Path
) -> None:
    """
    Programs that made their mountpoint remove it, too.
    """
    guarded = guard(caller)
    assert 0 == ours.unmount(mountpoint, user=caller).exit_status
    mountpoint.rmdir()

    guarded.peer.kill()

    assert Result(0, b"", b"") == guarded.guard.wait()


def test_what_was_stacked_on_it_stays(guard: Guard, caller: User, mountpoint: Path) -> None:
    """
    Root's tmpfs is not the user's to take, by any detour.
    """
    guarded = guard(caller)
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    guarded.peer.kill()

    guarded.guard.wait()
    assert ["fuse", "tmpfs"] == [entry.fstype for entry in mounts_at(mountpoint)]


@pytest.mark.parametrize("state", ["living", "dead"])
def test_a_later_mount_at_the_same_place_stays(
    ours: Program, guard: Guard, caller: User, mountpoint: Path, state: str
) -> None:
    """
    The guard knows its mount by an id that is given out once, not by a path.
    """
    guarded = guard(caller)
    guarded.peer.stop()  # else it would end with its mount, and the guard would come too early
    assert 0 == ours.unmount(mountpoint, user=caller).exit_status
    result = ours.mount(mountpoint, "fsname=later", user=caller)
    assert result.device is not None
    later = ours.serve(result.device)
    result.device.close()
    if state == "dead":
        later.kill()

    guarded.peer.kill()

    guarded.guard.wait()
    assert b"later" == mount_at(mountpoint).source


def test_a_mount_that_is_alive_stays(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    The process that started the helper may end before the server does.
    """
    running = ours.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    ours.serve(running.receive_device())

    running.comm.close()

    assert Result(0, b"", b"") == running.wait()
    assert mount_at(mountpoint)


def test_a_mount_that_hangs_stays(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    A stopped server may go on; and the guard must not hang with it.
    """
    running = ours.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    peer = ours.serve(running.receive_device())
    assert caller.call(os.stat, mountpoint)
    peer.stop()

    running.comm.close()

    running.wait()
    assert mount_at(mountpoint)


def test_a_server_may_take_its_time_to_die(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Of 500 that were killed at once, some had closed the socket a second before the device.
    """
    running = ours.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    device = running.receive_device()
    peer = ours.serve(device)
    device.close()
    assert caller.call(os.stat, mountpoint)
    peer.stop()
    running.comm.close()
    command = Path(f"/proc/{running.process.pid}/cmdline")
    until(lambda: b"--dead-mount" in command.read_bytes(), "the mount is looked at")

    time.sleep(1)
    peer.kill()

    assert Result(0, b"", b"") == running.wait()
    assert [] == mounts_at(mountpoint)


def test_at_the_process_limit_a_dead_mount_goes_all_the_same(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A user whose processes ran wild has dead servers most of all; nobody else takes their mounts.
    """
    result = ours.mount(mountpoint, user=caller)
    assert result.device is not None
    number = mount_at(mountpoint).mount_id
    result.device.close()

    def allow_no_thread() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

    words = ("-u", "-z", "-q", f"--dead-mount={number}", "--", mountpoint)
    result = ours.run(*words, user=caller, comm=None, preexec_fn=allow_no_thread)

    assert Result(0, b"", b"") == result
    assert [] == mounts_at(mountpoint)


def test_what_the_client_says_is_not_the_end_of_it(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Data is dropped, or a client's sends would block one day.
    """
    running = ours.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    device = running.receive_device()
    for _ in range(1000):
        running.comm.sendall(bytes(4096))
    assert running.process.poll() is None
    assert mount_at(mountpoint)

    device.close()
    running.comm.close()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


def test_the_guard_holds_no_privilege(guard: Guard, caller: User) -> None:
    """
    It waits for days beside every such mount; nothing it holds may be worth taking.
    """
    status = status_of(guard(caller))

    assert [str(caller.uid)] * 4 == status["Uid"].split()
    assert [str(caller.gid)] * 4 == status["Gid"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert "0000000000000000" == status[name]


def test_the_guard_holds_nothing_of_its_callers(guard: Guard, caller: User) -> None:
    """
    Callers read our stdout and stderr to their end, and unmount where they were started.
    """
    guarded = guard(caller)
    process = Path(f"/proc/{guarded.guard.process.pid}")
    until(lambda: os.readlink(process / "cwd") == "/", "the guard has settled")

    assert ["0", "1", "2", "3"] == sorted(os.listdir(process / "fd"))
    assert {"/dev/null"} == {os.readlink(process / "fd" / name) for name in "012"}
    assert os.readlink(process / "fd" / "3").startswith("socket:")
    assert b"" == (process / "environ").read_bytes()
    assert guarded.guard.process.pid == os.getsid(guarded.guard.process.pid)
    assert guarded.guard.process.stderr is not None
    assert b"" == guarded.guard.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_terminals_signals_do_not_end_the_guard(
    guard: Guard, caller: User, mountpoint: Path, number: int
) -> None:
    """
    Ctrl-C ends the server; that is when the guard is needed.
    """
    guarded = guard(caller)
    until(lambda: int(status_of(guarded)["SigIgn"], 16) >> number - 1 & 1, "it is ignored")
    caller.call(os.kill, guarded.guard.process.pid, number)

    guarded.peer.kill()

    assert 0 == guarded.guard.wait().exit_status
    assert [] == mounts_at(mountpoint)


def test_another_users_mount_cannot_be_guarded(
    ours: Program, guard: Guard, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    A guard takes mounts; who may not unmount may not have one.
    """
    guard(caller)

    sentence = f"entry for {mountpoint} not found in /etc/mtab"
    result = ours.run("--auto-unmount", "--", mountpoint, user=another_user)
    assert refused(sentence) == result


def test_what_is_not_mounted_cannot_be_guarded(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A guard that watches nothing would look like protection.
    """
    sentence = f"entry for {mountpoint} not found in /etc/mtab"

    assert refused(sentence) == ours.run("--auto-unmount", "--", mountpoint, user=caller)
