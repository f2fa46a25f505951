"""
No more processes, no more descriptors: for one user, for a group, for the whole machine.

The machine's own limits are not touched. Its last process is a control group's last one, for clone
answers both with EAGAIN; its last descriptor is strace's ENFILE, from some open on until the end.
"""

import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import flows, kernel
from support.cgroup import Group, delegated
from support.faults import FIRST_OF_OURS, Traced
from support.injected import Injected
from support.mount_table import mounts_at
from support.program import END_OF_FILE, Program, Result, Running
from support.users import ROOT, User

OPTIONS = "fsname=demo,x-demo"


@pytest.fixture
def processes(nothing_left: None, caller: User) -> Iterator[Group]:
    with delegated(caller, "pids") as group:
        yield group


def assert_ended_rightly(result: Result, mountpoint: Path, name: str = "fusermount3") -> None:
    """A mount, or no mount and one sentence."""
    assert result.exit_status in (0, 1), result
    lines = result.stderr.splitlines()
    assert all(line.startswith(os.fsencode(name) + b": ") for line in lines), result
    assert result.exit_status == len(lines), result
    assert len(mounts_at(mountpoint)) == (result.exit_status == 0), result


@pytest.mark.parametrize("mount", [flows.classic, flows.sync_init])
@pytest.mark.parametrize("most", range(1, 5))
def test_a_group_without_room_for_another_process(
    ours: Program, caller: User, mountpoint: Path, utab: Path, processes: Group,
    mount: Callable[..., Result], most: int,
) -> None:  # fmt: skip
    """
    There is room for the helper, then for its scribe, its threads, mount(8): each may be the last.
    """
    (processes.path / "pids.max").write_text(f"{most}", encoding="ascii")

    mounted = mount(ours, mountpoint, OPTIONS, user=caller, preexec_fn=processes.enter)
    assert_ended_rightly(mounted, mountpoint)
    unmounted = ours.unmount(mountpoint, user=caller, preexec_fn=processes.enter)

    assert mounted.exit_status == unmounted.exit_status
    assert [] == mounts_at(mountpoint)
    flows.until(lambda: not processes.root_processes(), "the end of the scribe")


@pytest.mark.parametrize("most", range(1, 5))
def test_an_auto_unmount_in_a_group_without_room(
    ours: Program, caller: User, mountpoint: Path, utab: Path, processes: Group, most: int
) -> None:
    """
    The guard is the helper itself, which has room; what it starts replaces it.
    """
    (processes.path / "pids.max").write_text(f"{most}", encoding="ascii")
    running = ours.start(
        "-o", f"{OPTIONS},auto_unmount", "--", mountpoint, user=caller, preexec_fn=processes.enter
    )
    running.receive_device().close()
    assert 1 == len(mounts_at(mountpoint))

    running.comm.close()
    running.wait()

    assert [] == mounts_at(mountpoint)
    flows.until(lambda: not processes.root_processes(), "the end of the scribe")


@pytest.mark.parametrize("most", range(4))
def test_a_user_without_room_for_another_process(
    ours: Program, caller: User, mountpoint: Path, utab: Path, most: int
) -> None:
    """
    As above, by the limit that counts the processes of a user.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    result = flows.classic(ours, mountpoint, OPTIONS, user=caller, preexec_fn=limit)

    assert_ended_rightly(result, mountpoint)


def test_a_user_without_descriptors(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The scribe needs four, and stands up as root: it must not stay, nor the mount without its end.
    """
    for most in range(20):

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # noqa: B023  # called before the next round

        mounted = flows.classic(ours, mountpoint, OPTIONS, user=caller, preexec_fn=limit)
        assert_ended_rightly(mounted, mountpoint)
        if mounted.exit_status == 0:
            assert Result(0, b"", b"") == ours.unmount(mountpoint, user=caller, preexec_fn=limit)


def opens(ours: Program, caller: User, mountpoint: Path) -> list[str]:
    """The lines of a trace in which the helper itself opens a file, in their order."""
    traced = Traced(ours, caller)
    traced.start("-o", OPTIONS, "--", mountpoint).wait()
    lines = traced.log.read_text(encoding="utf-8", errors="replace").splitlines()
    traced.strace.clean_up()
    traced.log.unlink()
    kernel.umount(mountpoint)
    helper = lines[0].split()[0]
    return [line for line in lines if re.match(rf"{helper} +openat\(", line)]


def sync_init_or_end(program: Program, mountpoint: Path, options: str, user: User) -> Result:
    """As flows.sync_init; a helper without descriptors may hang up where it owes a status."""
    running = program.start_sync_init(mountpoint, options, user=user)
    if running.receive() != END_OF_FILE:
        running.proceed()
        status = running.receive().payload
        result = running.wait()
        assert (status == bytes(4)) == (result.exit_status == 0), (status, result)
        return result
    return running.wait()


@pytest.mark.parametrize("mount", [flows.classic, sync_init_or_end])
def test_a_machine_without_descriptors(
    ours: Program, caller: User, mountpoint: Path, utab: Path, mount: Callable[..., Result]
) -> None:
    """
    The kernel lets nobody but CAP_SYS_ADMIN in force go beyond fs.file-max: the launcher and the
    first steps, and the calls that mount. Whatever is opened as the caller may be the one too many.
    """
    lines = opens(ours, caller, mountpoint)
    (seats,) = (number for number, line in enumerate(lines, 1) if FIRST_OF_OURS in line)
    for first in range(seats + 1, len(lines) + 1):
        faults = (f"openat:error=ENFILE:when={first}+", "socket:error=ENFILE")
        starved = Injected(ours, faults)
        try:
            result = mount(starved, mountpoint, OPTIONS, user=caller)
        finally:
            starved.clean_up()

        assert b"Traceback" not in result.stderr, (first, result)
        assert_ended_rightly(result, mountpoint, ours.path)
        for _ in mounts_at(mountpoint):
            kernel.umount(mountpoint)


def as_first_process(ours: Program, caller: User, *words: str, **how: Any) -> Running:
    """In a pid namespace of its own, whose init it is: no signal without a handler reaches it."""
    become = (f"--reuid={caller.uid}", f"--regid={caller.gid}", "--clear-groups")
    command = ("--pid", "--fork", "setpriv", *become, ours.path, *words)
    return Program("/usr/bin/unshare").start(*command, user=ROOT, argv0="unshare", **how)


def test_in_a_pid_namespace_of_its_own(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The first program of a container; with its end, the kernel ends what it has started.
    """
    running = as_first_process(ours, caller, "-o", OPTIONS, "--", str(mountpoint))
    result = running.wait()
    running.clean_up()
    silent = as_first_process(
        ours, caller, "--sync-init", "--", str(mountpoint),
        environment={"_FUSE_PROCEED_TIMEOUT": "0.3", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    waited = silent.wait()
    silent.clean_up()

    assert (0, b"", b"") == result[:3]
    assert (1, 1) == (waited.exit_status, waited.stderr.count(b"\n"))
    assert 1 == len(mounts_at(mountpoint))
    assert Result(0, b"", b"") == ours.unmount(mountpoint, user=caller)
