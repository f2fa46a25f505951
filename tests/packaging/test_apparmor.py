"""
The AppArmor profile in force, in a kernel that enforces it.

    make -C packaging test-kernels KERNEL_TESTS=tests/packaging/test_apparmor.py

A loaded profile binds a whole machine, so this runs only in the throw-away guests of
packaging/in_kernel.sh; Debian's kernels have AppArmor.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User

GUEST = Path("/in_kernel.command")
ENABLED = Path("/sys/module/apparmor/parameters/enabled")
PROFILE = machine.SOURCE / "packaging" / "apparmor" / "fusermount-py"
# As others have one for libfuse's program: by a pattern, and of no use to an interpreter.
STOCK = "profile fusermount3 /{usr/,}bin/fusermount{3,} {\n  /usr/bin/fusermount3 mr,\n}\n"

pytestmark = [
    pytest.mark.skipif(not GUEST.exists(), reason="only in a guest of packaging/in_kernel.sh"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def confined_helper(private_machine: None) -> str:
    """Ours as /usr/bin/fusermount3, below an overlay over /usr, and both profiles loaded."""
    assert ENABLED.read_text() == "Y\n"
    layers = {name: machine.PREFIX / "usr" / name for name in ("upper", "work")}
    for layer in layers.values():
        layer.mkdir(parents=True)
    options = f"lowerdir=/usr,upperdir={layers['upper']},workdir={layers['work']}"
    kernel.mount("overlay", "/usr", "overlay", options=options)
    machine.make("install-helper", "PREFIX=/usr", "PYTHON=/usr/bin/python3.11")
    kernel.mount("securityfs", "/sys/kernel/security", "securityfs")
    for profile in (STOCK, PROFILE.read_text()):
        subprocess.run(
            ["/usr/sbin/apparmor_parser", "--replace", "--skip-cache"],
            input=profile, text=True, check=True,
        )  # fmt: skip
    return "/usr/bin/fusermount3"


@pytest.fixture
def confined(nothing_left: None, confined_helper: str) -> Iterator[Program]:
    program = Program(confined_helper)
    yield program
    program.clean_up()


def denials() -> list[str]:
    """What the kernel has refused the profile so far."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return re.findall(r'apparmor="DENIED" .*', log)


@pytest.fixture(autouse=True)
def nothing_denied(confined_helper: str) -> Iterator[None]:
    """Whatever is refused without an error today is an error tomorrow."""
    before = denials()
    yield
    assert before == denials()


def test_ours_is_the_profile_that_counts(confined: Program, caller: User, mountpoint: Path) -> None:
    """
    If the stock one counted, our interpreter could not even start.
    """
    running = confined.start_sync_init(mountpoint, "fsname=demo", user=caller)
    running.receive_device()
    label = Path(f"/proc/{running.process.pid}/attr/current").read_text()
    running.comm.close()
    running.process.wait()

    assert "/usr/bin/fusermount3 (enforce)\n" == label


@pytest.mark.parametrize(
    "options", ["fsname=demo,subtype=demo", "fsname=" + 300 * "x"], ids=["fsmount", "mount(2)"]
)
def test_classic_mounts_are_made_and_taken(
    confined: Program, caller: User, mountpoint: Path, options: str
) -> None:
    """
    Both kernel interfaces: AppArmor judges a move_mount and a mount(2) by different rules.
    """
    assert (0, b"", b"") == confined.mount(mountpoint, options, user=caller)[:3]
    assert mount_at(mountpoint).fstype.startswith("fuse")
    assert (0, b"", b"") == confined.unmount(mountpoint, user=caller)[:3]


def test_a_file_of_the_callers_is_covered(confined: Program, caller: User, home: Path) -> None:
    """
    It is opened for writing first, which no other part of the helper does.
    """
    file = home / "file"
    file.touch()
    os.chown(file, caller.uid, caller.gid)

    assert (0, b"", b"") == confined.mount(file, "fsname=demo", user=caller)[:3]
    assert (0, b"", b"") == confined.unmount(file, user=caller)[:3]


def test_a_sync_init_mount_is_guarded(confined: Program, caller: User, mountpoint: Path) -> None:
    """
    The longest way: launcher, interpreter, guard, and the launcher again.
    """
    running = confined.start_sync_init(mountpoint, "fsname=demo,auto_unmount", user=caller)
    device = running.receive_device()
    peer = confined.serve(device, holding=(running.comm,))
    running.proceed()
    assert 0 == running.read_status()
    device.close()
    running.comm.close()

    peer.kill()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


def test_options_for_util_linux_are_recorded(
    confined: Program, caller: User, mountpoint: Path
) -> None:
    """
    By mount(8), which runs under this profile, too.
    """
    table = Path("/run/mount/utab")
    table.parent.mkdir(exist_ok=True)
    table.touch()

    confined.mount(mountpoint, "fsname=demo,x-demo", user=caller)
    recorded = table.read_text()
    confined.unmount(mountpoint, user=caller)
    left = table.read_text()
    table.unlink()

    assert "OPTS=x-demo" in recorded
    assert "" == left
