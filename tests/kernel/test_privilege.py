"""What the helper holds, moment by moment, as the kernel shows it (the table of the design)."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import receive_armed, until
from support.program import Program, Running
from support.users import ROOT, User

CAP_SYS_ADMIN = 1 << 21
NOTHING = 0


def status_of(process: int, thread: int | None = None) -> dict[str, str]:
    path = Path(f"/proc/{process}/task/{thread or process}/status")
    return dict(line.split(":\t", 1) for line in path.read_text(encoding="utf-8").splitlines())


def capabilities(status: dict[str, str]) -> dict[str, int]:
    return {name: int(status[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Amb")}


def threads_of(running: Running) -> list[int]:
    return sorted(int(name) for name in os.listdir(f"/proc/{running.process.pid}/task"))


@pytest.fixture
def waiting(ours: Program, caller: User, mountpoint: Path) -> Running:
    """A helper that has sent the device and waits for proceed."""
    running = ours.start_sync_init(mountpoint, user=caller)
    receive_armed(running)
    return running


def test_while_it_waits_for_proceed_nothing_is_in_force(waiting: Running, caller: User) -> None:
    """
    Minutes may pass, at the caller's will: it is then a process of the caller's.
    """
    status = status_of(waiting.process.pid)

    assert [str(caller.uid)] * 4 == status["Uid"].split()
    assert [str(caller.gid)] * 4 == status["Gid"].split()
    assert {"Inh": 0, "Prm": CAP_SYS_ADMIN, "Eff": NOTHING, "Amb": 0} == capabilities(status)


def test_only_the_thread_that_creates_may_create(
    waiting: Running, ours: Program, caller: User
) -> None:
    """
    While create blocks the other thread listens to the caller, and so holds nothing.
    """
    waiting.proceed()
    first = waiting.process.pid

    def creating() -> list[int]:
        return [thread for thread in threads_of(waiting) if in_force(thread) == CAP_SYS_ADMIN]

    def in_force(thread: int) -> int:
        try:
            return capabilities(status_of(first, thread))["Eff"]
        except (FileNotFoundError, ProcessLookupError):
            return NOTHING  # the one that looked at the clock until now

    until(creating, "create blocks")
    assert NOTHING == in_force(first)
    assert [str(caller.uid)] * 4 == status_of(first, *creating())["Uid"].split()


def read_memory(process: int) -> None:
    with open(f"/proc/{process}/mem", "rb") as memory:
        memory.read(1)


def read_environment(process: int) -> None:
    Path(f"/proc/{process}/environ").read_bytes()


def list_descriptors(process: int) -> None:
    os.listdir(f"/proc/{process}/fd")


@pytest.mark.parametrize("look", [read_memory, read_environment, list_descriptors])
def test_its_own_user_cannot_look_inside(
    waiting: Running, caller: User, look: Callable[[int], None]
) -> None:
    """
    Whoever can write its memory has its capability; the ids alone would allow that.
    """
    with pytest.raises(PermissionError):
        caller.call(look, waiting.process.pid)


def test_its_own_user_can_end_it(waiting: Running, caller: User) -> None:
    """
    It is their process, and holds their mount limit.
    """
    caller.call(os.kill, waiting.process.pid, signal.SIGTERM)

    assert -signal.SIGTERM == waiting.wait().exit_status


def test_only_what_was_chosen_reaches_it(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Environment, descriptors and groups of the caller's stay with the caller.
    """
    with open("/etc/passwd", "rb") as file:
        running = ours.start_sync_init(
            mountpoint, user=caller._replace(groups=(61500,)), pass_fds=[17, file.fileno()],
            environment={"LD_PRELOAD": "/x.so", "PYTHONPATH": "/x", "_FUSE_INIT_TIMEOUT": "9"},
            comm_fd=17,
        )  # fmt: skip
        running.receive_device()
        process = Path(f"/proc/{running.process.pid}")
        files = {os.readlink(process / "fd" / name) for name in os.listdir(process / "fd")}

    assert file.name not in files
    assert {b"_FUSE_COMMFD=17", b"_FUSE_INIT_TIMEOUT=9", b""} == set(
        (process / "environ").read_bytes().split(b"\0")
    )
    assert "61500" == status_of(running.process.pid)["Groups"].strip()


def test_roots_helper_keeps_roots_rights(ours: Program, mountpoint: Path) -> None:
    """
    There is nobody to protect root from; the pinned mountpoint serves root as well.
    """
    running = ours.start_sync_init(mountpoint, user=ROOT)
    running.receive_device()

    status = status_of(running.process.pid)

    assert ["0"] * 4 == status["Uid"].split()
    assert capabilities(status)["Eff"] & CAP_SYS_ADMIN
