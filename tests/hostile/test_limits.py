"""
CVE-2011-0541, CVE-2011-1675 and their family: resource limits that the caller chose.

A helper that cannot allocate, open or write where nobody expects it to fail leaves half a mount,
half a table, or takes down another's mount. Ours has room, or says that it has none.
"""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from support.mount_table import mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change

KIB, MIB = 1 << 10, 1 << 20
# Below the first of each row the kernel cannot even start a program of C, theirs or ours.
LIMITS = {
    resource.RLIMIT_AS: (4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB),
    resource.RLIMIT_DATA: (1 * MIB, 4 * MIB, 8 * MIB, 16 * MIB),
    resource.RLIMIT_STACK: (64 * KIB, 128 * KIB, 1 * MIB),
    resource.RLIMIT_NOFILE: tuple(range(9)),
    resource.RLIMIT_FSIZE: (0, 1),
    resource.RLIMIT_NPROC: (0, 1),
    resource.RLIMIT_MEMLOCK: (0,),
    resource.RLIMIT_SIGPENDING: (0,),
}
NAMES = {getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_")}


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
            "if (raise_limits() < 0) {",
            "if (0 && raise_limits() < 0) {",
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
        mountpoint, user=caller, preexec_fn=limited(resource.RLIMIT_NPROC, 77, 77)
    )
    running.receive_device()

    limits = Path(f"/proc/{running.process.pid}/limits").read_text(encoding="ascii")
    (processes,) = [line for line in limits.splitlines() if line.startswith("Max processes")]
    assert ["77", "77"] == processes.split()[2:4]
