"""
CVE-2011-0541, CVE-2011-1675 and their family: resource limits that the caller chose.

A helper that cannot allocate, open or write where nobody expects it to fail leaves half a mount,
half a table, or takes down another's mount. Ours has room, or says that it has none.
"""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import kernel, ptrace
from support.flows import classic, sync_init
from support.mount_table import mounts_at
from support.program import Program, Running
from support.users import User
from support.weakened import Change, Target, against

KIB, MIB = 1 << 10, 1 << 20
# Below the first of each row the kernel cannot even start a program of C, theirs or ours.
LIMITS = {
    resource.RLIMIT_AS: (4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB),
    resource.RLIMIT_DATA: (1 * MIB, 4 * MIB, 8 * MIB, 16 * MIB),
    resource.RLIMIT_STACK: (64 * KIB, 128 * KIB, 1 * MIB),
    resource.RLIMIT_NOFILE: tuple(range(13)),
    resource.RLIMIT_FSIZE: (0, 1),
    resource.RLIMIT_NPROC: (0, 1),
    resource.RLIMIT_MEMLOCK: (0,),
    resource.RLIMIT_SIGPENDING: (0,),
}
NAMES = {getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_")}


ENOUGH = {
    resource.RLIMIT_AS: 32 * MIB,
    resource.RLIMIT_DATA: 16 * MIB,
    resource.RLIMIT_STACK: 1 * MIB,
    resource.RLIMIT_NOFILE: 12,
    resource.RLIMIT_FSIZE: 10,
    resource.RLIMIT_CPU: 30,
}
SHOWN = {
    resource.RLIMIT_AS: "Max address space",
    resource.RLIMIT_DATA: "Max data size",
    resource.RLIMIT_STACK: "Max stack size",
    resource.RLIMIT_NOFILE: "Max open files",
    resource.RLIMIT_FSIZE: "Max file size",
    resource.RLIMIT_CPU: "Max cpu time",
}
RAISES_HARD_LIMITS = Change(
    "packaging/launcher/limits.h",
    "limit.rlim_cur = floors[i].wanted < limit.rlim_max ? floors[i].wanted : limit.rlim_max;",
    "limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;",
)


def limited(limit: int, value: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(limit, (value, hard))


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize(
    ("limit", "value"),
    [
        pytest.param(limit, value, id=f"{NAMES[limit]}={value}")
        for limit, values in LIMITS.items()
        for value in values
    ],
)
def test_a_tiny_limit_means_a_mount_or_one_sentence(
    ours: Program, caller: User, mountpoint: Path, limit: int, value: int, kind: str
) -> None:
    """
    Otherwise the interpreter dies in words of its own, or of a signal, and its caller guesses.
    """
    hard = value if kind == "hard" else resource.getrlimit(limit)[1]

    result = ours.mount(
        mountpoint, "fsname=demo", user=caller, preexec_fn=limited(limit, value, hard)
    )

    assert result.exit_status in (0, 1)
    assert result.exit_status == result.stderr.count(b"\n")
    assert result.exit_status == result.stderr.startswith(b"fusermount3: ")
    assert len(mounts_at(mountpoint)) == (result.exit_status == 0)


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        (resource.RLIMIT_AS, 8 * MIB),
        (resource.RLIMIT_DATA, 1 * MIB),
        (resource.RLIMIT_NOFILE, 3),
    ],
    ids=["RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NOFILE"],
)
def test_a_soft_limit_is_raised_and_without_that_the_interpreter_dies(
    ours: Program,
    weakened: Callable[..., Program],
    caller: User,
    mountpoint: Path,
    limit: int,
    value: int,
) -> None:
    """
    Shells set soft limits for their users' own programs; mounting must not end by them.
    """
    starved = {
        "user": caller,
        "preexec_fn": limited(limit, value, resource.getrlimit(limit)[1]),
    }
    careless = weakened(
        Change(
            "packaging/launcher/launcher.c",
            "if (raise_soft_limits() < 0) {",
            "if (0 && raise_soft_limits() < 0) {",
        )
    )

    died = careless.mount(mountpoint, "", **starved)
    assert died.exit_status not in (0, 1) or not died.stderr.startswith(b"fusermount3: ")

    assert (0, b"") == ours.mount(mountpoint, "", **starved)[0:3:2]


def test_the_limit_on_a_users_processes_stays(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    It bounds how many helpers one user can have waiting for a proceed byte.
    """
    running = ours.start_sync_init(
        mountpoint, user=caller, preexec_fn=limited(resource.RLIMIT_NPROC, 77, 78)
    )
    running.receive_device()

    limits = Path(f"/proc/{running.process.pid}/limits").read_text(encoding="ascii")
    (processes,) = [line for line in limits.splitlines() if line.startswith("Max processes")]
    assert ["77", "78"] == processes.split()[2:4]


@pytest.mark.parametrize("flow", [classic, sync_init])
@pytest.mark.parametrize(
    ("limit", "value"), ENOUGH.items(), ids=[f"{NAMES[limit]}={ENOUGH[limit]}" for limit in ENOUGH]
)
def test_so_little_is_enough(
    ours: Program, caller: User, mountpoint: Path, limit: int, value: int, flow: Callable[..., Any]
) -> None:
    """
    A container has hard limits that its root cannot raise, of twelve descriptors for one.
    """
    result = flow(
        ours, mountpoint, "fsname=demo", user=caller, preexec_fn=limited(limit, value, value)
    )

    assert (0, b"") == (result.exit_status, result.stderr)
    assert 1 == len(mounts_at(mountpoint))


def guarded(target: Target, caller: User, mountpoint: Path) -> Running:
    """A guard that waits, started by a user to whom all of these hard limits are set."""
    if target.is_weak and not kernel.may(kernel.CAP_SYS_RESOURCE):
        pytest.skip("there is nothing to win where root may raise no limits")
    program = target.program

    def limit_all() -> None:
        for limit, value in ENOUGH.items():
            resource.setrlimit(limit, (value, value))

    running = program.start(
        "-o", "auto_unmount", "--", mountpoint, user=caller, preexec_fn=limit_all
    )
    device = running.receive_device()
    program.serve(device, holding=(running.comm,))
    ptrace.wait_for_guard(running)
    return running


@against(RAISES_HARD_LIMITS)
def test_no_hard_limit_of_the_guard_is_above_its_users(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    Its user may trace it: what it may, its user may.
    """
    running = guarded(target, caller, mountpoint)

    limits = Path(f"/proc/{running.process.pid}/limits").read_text(encoding="ascii")
    hard = {line[:26].strip(): line[26:].split()[1] for line in limits.splitlines()}
    expected = {SHOWN[limit]: str(value) for limit, value in ENOUGH.items()}
    assert (hard.items() >= expected.items()) != target.is_weak


@ptrace.only_here
@against(RAISES_HARD_LIMITS)
def test_code_put_into_the_guard_writes_no_larger_files_than_its_user(
    target: Target, caller: User, mountpoint: Path, home: Path
) -> None:
    """
    The limit on a file's size is the administrator's, and a process that waits for days is
    a good place to be rid of it.
    """
    running = guarded(target, caller, mountpoint)
    file = home / "large"

    def attack() -> None:
        guard = ptrace.Traced(running.process.pid)
        descriptor = guard.call(ptrace.OPEN, bytes(file), os.O_CREAT | os.O_WRONLY, 0o600)
        guard.call(ptrace.WRITE, descriptor, b"x" * 100, 100)
        guard.let_go()

    caller.call(attack)

    assert (file.stat().st_size > ENOUGH[resource.RLIMIT_FSIZE]) == target.is_weak
