"""
What a helper could still do while it waits for the caller, and who could lay hands on it.

Read from /proc, then tried out by a copy that runs the attacker's program instead of waiting:
whatever bug of the interpreter there may be, no more than this is behind it.
"""

import ctypes
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.program import Program, Running
from support.ptrace import wait_for_guard
from support.users import User
from support.weakened import Change, Target, against

PTRACE_ATTACH = 16
SYS_ADMIN = 1 << 21


def status_of(pid: int) -> dict[str, str]:
    """`Name: value` of /proc/PID/status; of the thread PID, if it is one."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture(params=["proceed", "create"])
def waiting(
    request: pytest.FixtureRequest, ours: Program, caller: User, mountpoint: Path
) -> Running:
    """A helper that waits for the proceed byte, or for a server that never answers FUSE_INIT."""
    running = ours.start_sync_init(mountpoint, "fsname=demo", user=caller)
    device = running.receive_device()
    if request.param == "create":
        if not kernel.arm_sync_init(device):
            pytest.skip("on this kernel create does not wait")
        ours.serve(device, init=None, holding=(running.comm,))
        running.proceed()
        while len(os.listdir(f"/proc/{running.process.pid}/task")) < 2:
            assert running.process.poll() is None
    return running


def test_every_id_is_the_callers(waiting: Running, caller: User) -> None:
    """
    A saved uid of 0 is root for whoever takes over the process.
    """
    status = status_of(waiting.process.pid)

    assert [str(caller.uid)] * 4 == status["Uid"].split()
    assert [str(caller.gid)] * 4 == status["Gid"].split()
    assert "" == status["Groups"]


def test_one_capability_is_permitted_and_none_in_force(waiting: Running) -> None:
    """
    The thread that listens to the caller must not hold what the caller would like to have.
    """
    status = status_of(waiting.process.pid)

    assert SYS_ADMIN == int(status["CapPrm"], 16)
    assert 0 == int(status["CapEff"], 16) | int(status["CapInh"], 16) | int(status["CapAmb"], 16)


def test_no_exec_could_gain_anything(waiting: Running) -> None:
    """
    Setuid programs are the usual second step.
    """
    assert "1" == status_of(waiting.process.pid)["NoNewPrivs"]


def test_a_helper_that_becomes_a_guard_keeps_the_bit_off(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Its guard has to start the setuid helper once more.
    """
    running = ours.start_sync_init(mountpoint, "auto_unmount", user=caller)
    running.receive_device()

    assert "0" == status_of(running.process.pid)["NoNewPrivs"]


def test_descriptors_are_those_of_the_mount_alone(waiting: Running) -> None:
    """
    Each open descriptor is a thing that a seized helper could use without asking.
    """
    place = Path(f"/proc/{waiting.process.pid}/fd")
    targets = [os.readlink(place / name) for name in os.listdir(place) if int(name) > 2]

    allowed = (
        r"/dev/fuse", r"socket:\[\d+\]", r"anon_inode:\[fscontext\]", r"pipe:\[\d+\]",
        r"/run/scratch/home-\d+(/mountpoint)?", r"/run/fusermount3\.seats",
    )  # fmt: skip
    assert [] == [name for name in targets if not re.fullmatch("|".join(allowed), name)]
    assert 2 == sum(name.startswith("socket:") for name in targets)  # the client's, and the log's


def test_the_environment_holds_what_the_helper_needs(waiting: Running) -> None:
    """
    LD_*, PYTHON* and their like take effect before the first line of ours.
    """
    environment = Path(f"/proc/{waiting.process.pid}/environ").read_bytes()

    assert re.fullmatch(rb"_FUSE_COMMFD=\d+\0", environment)


def test_its_user_can_neither_trace_nor_read_it(waiting: Running, caller: User) -> None:
    """
    All its ids are the caller's; what keeps the caller out is that it is not dumpable.
    """
    pid = waiting.process.pid

    def attach() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    for attempt in (
        lambda: os.open(f"/proc/{pid}/mem", os.O_RDWR),
        lambda: os.listdir(f"/proc/{pid}/fd"),
        lambda: Path(f"/proc/{pid}/environ").read_bytes(),
        attach,
    ):
        with pytest.raises(PermissionError):
            caller.call(attempt)


def test_seized_at_the_wait_it_is_no_more_than_a_mounting_user(
    weakened: Callable[..., Program], caller: User, mountpoint: Path
) -> None:
    """
    Of root there is CAP_SYS_ADMIN and nothing else: no file, process or module of root's is in
    reach. What the capability itself is worth is said in SECURITY.md, with no softer words.
    """
    attacker = Path(__file__).with_name("seized.py")
    seized = weakened(
        Change(
            "fusermount_py/helper/mount.py",
            "        comm.owes_status = True\n",
            f"        exec({attacker.read_text(encoding='utf-8')!r}, {{}})\n",
        )
    )

    running = seized.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    running.comm.close()
    lines = running.wait().stderr.decode().splitlines()
    answers = dict(line.rsplit("=", 1) for line in lines if "=" in line)

    assert 38 == len(answers)
    refusals = {str(errno.EPERM), str(errno.EACCES)}
    assert {} == {what: answer for what, answer in answers.items() if answer not in refusals}


def guard_of(program: Program, caller: User, mountpoint: Path) -> int:
    """The process that waits beside a mount with auto_unmount."""
    running = program.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    device = running.receive_device()
    program.serve(device, holding=(running.comm,))
    wait_for_guard(running)
    return running.process.pid


def test_the_guard_holds_nothing(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    It waits for days beside every such mount.
    """
    pid = guard_of(ours, caller, mountpoint)

    status = status_of(pid)
    assert {str(caller.uid)} == set(status["Uid"].split())
    assert [0, 0, 0, 0] == [
        int(status[f"Cap{which}"], 16) for which in ("Prm", "Eff", "Inh", "Amb")
    ]
    assert b"" == Path(f"/proc/{pid}/environ").read_bytes()


@against(
    Change(
        "packaging/launcher/launcher.c",
        "	reset_signals();\n",
        "	prctl(PR_CAPBSET_DROP, 1, 0, 0, 0);\n	reset_signals();\n",
    )
)
def test_setuid_programs_started_in_the_guard_have_all_of_roots_powers(
    target: Target, caller: User, mountpoint: Path
) -> None:
    """
    One that lacks a few goes on where it should have failed: sendmail could not become its caller,
    and stayed root. The guard's user may trace it, and so start any program there.
    """
    guard = guard_of(target.program, caller, mountpoint)

    assert (status_of(guard)["CapBnd"] != status_of(os.getpid())["CapBnd"]) == target.is_weak
