"""`make demo` as an ordinary user of the machine would type it; as root, CI runs it by itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support import machine
from support.mount_table import mounts
from support.users import User

STEPS = ["starts the helper", "has the device", "has a worker ready", "sends proceed"]


@pytest.fixture
def checkout(home: Path) -> Path:
    """A clone in the caller's home."""
    path = home / "checkout"
    for folder in ("packaging", "fusermount_py"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(machine.SOURCE / folder, path / folder, ignore=ignored)
    return path


def as_user(user: User, words: list[str], path: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words,
        user=user.uid,
        group=user.gid,
        extra_groups=(),
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_ordinary_user_sees_the_handshake_without_root(checkout: Path, caller: User) -> None:
    """
    Whoever judges this program on a machine of somebody else's has no root there.
    """
    before = mounts()
    make = ["make", "-C", str(checkout / "packaging"), "demo"]
    result = as_user(caller, make, "/usr/bin:/bin")

    assert "" == result.stderr
    assert 0 == result.returncode
    positions = [result.stdout.find(step) for step in [*STEPS, "has status 0"]]
    assert -1 not in positions
    assert sorted(positions) == positions
    assert f"uid {caller.uid}, in a user namespace of its own," in result.stdout
    assert " ro,nosuid,nodev,relatime - fuse.hello demo ro,user_id=0" in result.stdout
    assert "Hello from a file system in plain Python." in result.stdout
    assert before == mounts()
    files = {path.name for path in checkout.rglob("*")}
    assert "__pycache__" not in files, "nothing is written beside the sources"


def test_without_the_device_the_demo_says_so_in_a_sentence(checkout: Path, caller: User) -> None:
    """
    Hardened machines close it; a traceback would look like a fault of ours.
    """
    machine.DEVICE.chmod(0o600)
    try:
        make = ["make", "-C", str(checkout / "packaging"), "demo"]
        result = as_user(caller, make, "/usr/bin:/bin")
    finally:
        machine.DEVICE.chmod(0o666)

    assert 2 == result.returncode
    assert "demo: this user may not open /dev/fuse" in result.stderr


def test_who_may_not_install_packages_gets_the_one_line_to_run(
    checkout: Path, home: Path, caller: User
) -> None:
    """
    Set-up must not fail in the middle of something that needs root.
    """
    stand_in = home / "dpkg-query"
    stand_in.write_text("#!/bin/sh\n")
    stand_in.chmod(0o755)
    setup = [str(checkout / "packaging" / "setup.sh"), "demo"]
    result = as_user(caller, setup, f"{home}:{os.defpath}")

    assert (1, "") == (result.returncode, result.stderr)
    assert "\n    sudo sh -c 'apt-get update && apt-get install -y " in result.stdout
    assert "python3-prctl" in result.stdout
