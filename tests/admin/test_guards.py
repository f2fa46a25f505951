"""Guards of auto_unmount: no mount is being made there, and they know their server."""

import platform
import subprocess
from pathlib import Path

import pytest

from fusermount_py.admin import guards
from support.admin import Admin
from support.flows import until
from support.program import Program, Running
from support.users import CALLER, ROOT, User

RELEASE = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
before_6_18 = pytest.mark.skipif(
    RELEASE >= (6, 18), reason="this kernel tells whose device it is: only in test-kernels"
)


@pytest.fixture
def caller() -> User:
    """The C program mounts for users with a name only."""
    return CALLER


def guarded(program: Program, mountpoint: Path, user: User) -> tuple[Running, int]:
    """A mount with a guard, and the pid of its server, which holds the comm socket."""
    running = program.start("-o", "auto_unmount", "--", mountpoint, user=user)
    device = running.receive_device()
    peer = program.serve(device, holding=(running.comm,), user=user)
    device.close()
    running.comm.close()
    return running, peer.pid


@pytest.mark.parametrize("asker", ["root", "owner"])
def test_a_guard_is_no_pending_mount(
    admin: Admin, helper: Program, caller: User, mountpoint: Path, asker: str
) -> None:
    """
    The C program's guard is the helper itself, with the command line of a mount.
    """
    running, _ = guarded(helper, mountpoint, caller)

    rows = admin.json("pending", user=ROOT if asker == "root" else caller)

    assert running.process.pid not in [row["helper"] for row in rows]


@before_6_18
def test_an_older_kernels_server_is_known_by_its_guard(
    admin: Admin, helper: Program, caller: User, home: Path
) -> None:
    """
    Which device is whose it does not say; who holds the other end of a guard's socket it does.
    """
    mountpoints = [home / name for name in ("one", "another")]
    for mountpoint in mountpoints:
        mountpoint.mkdir()
        mountpoint.chmod(0o777)
    servers = [guarded(helper, mountpoint, caller)[1] for mountpoint in mountpoints]

    def seen(mountpoint: Path) -> tuple[list[int], str]:
        row = admin.row(mountpoint)
        return [each["pid"] for each in row["servers"]], row["state"]

    expected = [([server], "alive") for server in servers]
    until(lambda: expected == [seen(each) for each in mountpoints], "helpers become guards")


def test_who_only_calls_itself_guard_is_none(caller: User, home: Path) -> None:
    """
    Everybody may, with words of their own, and root looks at them all.
    """
    program = home / "guard"
    waits = b"#include <unistd.h>\nint main(void) { return pause(); }"
    subprocess.run(["gcc", "-x", "c", "-o", str(program), "-"], input=waits, check=True)
    words = ["guard", "x", "x", "9" * 5000, "1", "/mnt"]
    with subprocess.Popen(words, executable=program, user=caller.uid) as process:
        try:
            found = list(guards.read_all([]))
        finally:
            process.kill()

    assert process.pid not in [guard.process.pid for guard in found]
