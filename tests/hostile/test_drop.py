"""
Privileges that are dropped: each id, each capability, at its time; and a drop that failed.

That a drop can fail in silence is no fancy: in 2000 Linux let a caller's empty inheritable set keep
sendmail's setuid() from giving up root, and nobody had read it back.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import refused, until
from support.held import Held, until_at
from support.program import Program, Running
from support.users import User
from support.weakened import Change

PRIVILEGE = "fusermount_py/helper/kernel/privilege.py"
SETRESGID = "    posix.setresgid(caller.gid, caller.gid, caller.gid)\n"
SETRESUID = "    posix.setresuid(caller.uid, caller.uid, caller.uid)\n"
# Else `make install` itself says that no ordinary user can mount with this.
INSTALLED_ANYWAY = Change("packaging/check_installed.py", "return 1 if found else 0", "return 0")
FAILURES = {
    "gids": ((Change(PRIVILEGE, SETRESGID, ""),), "an id is not the caller's"),
    "uids": (
        (Change(PRIVILEGE, SETRESUID, SETRESUID.replace("caller.uid)", "0)")),),
        "an id is not the caller's",
    ),
    "capabilities": (
        (Change(PRIVILEGE, "        _permit_only([_SYS_ADMIN])\n", ""),),
        "CapPrm holds too much",
    ),
    "what the read-back missed": (
        (
            Change(PRIVILEGE, SETRESUID, SETRESUID.replace("caller.uid)", "0)")),
            Change(PRIVILEGE, "if (posix.getresuid(), posix.getresgid()) != ids:", "if 0:"),
        ),
        "root could be regained",
    ),
}
Hold = Callable[..., Held]


def status_of(running: Running) -> dict[str, str]:
    """`Name: value` of /proc/PID/status."""
    text = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return {name: value.strip() for name, _, value in (x.partition(":") for x in text.splitlines())}


def permitted(running: Running) -> int:
    return int(status_of(running)["CapPrm"], 16)


@pytest.fixture
def setgid(weakened: Callable[..., Program]) -> Callable[..., Program]:
    """A helper that an administrator has made setgid root as well."""

    def build(*changes: Change) -> Program:
        program = weakened(*changes)
        Path(program.path).chmod(0o6755)
        return program

    return build


def test_a_helper_that_is_setgid_too_has_no_group_of_roots(
    setgid: Callable[..., Program], caller: User, mountpoint: Path
) -> None:
    """
    Root's group may read logs and disks; a mode of 6755 is one digit away from the right one.
    """
    running = setgid().start_sync_init(mountpoint, user=caller)
    running.receive_device()

    assert [str(caller.gid)] * 4 == status_of(running)["Gid"].split()


@pytest.mark.parametrize(("changes", "why"), FAILURES.values(), ids=FAILURES)
def test_a_drop_that_failed_is_noticed(
    setgid: Callable[..., Program],
    caller: User,
    mountpoint: Path,
    changes: tuple[Change, ...],
    why: str,
) -> None:
    """
    Whatever went wrong, a mistake of ours too: better no mount than one made with root's rights.
    """
    result = setgid(*changes, INSTALLED_ANYWAY).mount(mountpoint, user=caller)

    assert refused(f"failed to drop privileges: {why}") == result


def test_no_exec_of_an_unmounting_helper_could_gain_anything(
    ours: Program, held: Hold, caller: User, mountpoint: Path
) -> None:
    """
    It looks at paths of the caller's choice just as a mounting one does.
    """
    ours.mount(mountpoint, user=caller)

    running = held(ours, "umount2").start("-u", "--", mountpoint, user=caller, comm=None)
    until_at(running, "umount2")

    assert "1" == status_of(running)["NoNewPrivs"]


@pytest.mark.parametrize("options", ["", "auto_unmount"])
def test_after_the_mount_nothing_is_permitted(
    ours: Program, held: Hold, caller: User, mountpoint: Path, options: str
) -> None:
    """
    From here on it may wait for another, the scribe or the client; nothing is left to take.
    """
    last = "execve" if options else "exit_group"
    running = held(ours, last).start("-o", options, "--", mountpoint, user=caller)
    running.receive_device()
    until_at(running, last)

    assert 0 == permitted(running)


def test_before_a_guard_is_executed_nothing_is_permitted(
    ours: Program, held: Hold, caller: User, mountpoint: Path
) -> None:
    """
    Not even a guard that somebody had tampered with would gain a capability by it.
    """
    ours.mount(mountpoint, user=caller)
    running = held(ours, "execve").start("--auto-unmount", "--", mountpoint, user=caller)
    command = Path(f"/proc/{running.process.pid}/cmdline")
    until(lambda: b"entry.py" in command.read_bytes(), "the helper has started")
    until_at(running, "execve")

    assert 0 == permitted(running)
    running.comm.close()
    running.wait()
