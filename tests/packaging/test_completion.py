"""Completion for bash: what a user who presses the tab key is offered."""

import subprocess
from pathlib import Path

import pytest

from fusermount_py.helper import request
from support import machine
from support.program import Program
from support.users import CALLER, User

COMPLETION = machine.SOURCE / "packaging" / "completion" / "fusermount3.bash"
# compopt works only within a real completion.
ASK = """
compopt() { :; }
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_fusermount3
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str | Path, user: User = CALLER) -> list[str]:
    """What bash offers for the last of these words."""
    script = COMPLETION.read_text() + ASK
    result = subprocess.run(
        ["bash", "-c", script, "bash", "fusermount3", *words], cwd="/",
        user=user.uid, group=user.gid, extra_groups=(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return result.stdout.splitlines()


def test_options_are_offered(private_machine: None) -> None:
    """
    So that nobody has to remember --auto-unmount.
    """
    assert ["--quiet"] == offered("--qu")
    assert ["--unmount"] == offered("--u")
    long = {f"--{name}" for name in request.LONG} - {"--dead-mount"}
    assert long | {"--features=text"} == set(offered("--"))


@pytest.mark.parametrize("flag", ["-u", "-uz", "--unmount"])
def test_the_callers_own_mounts_are_offered_for_unmounting(
    ours: Program, caller: User, another_user: User, mountpoint: Path, flag: str
) -> None:
    """
    From the mount table, with its octal names, and without asking a file system that may hang.
    """
    spaced = mountpoint / "a b"
    caller.call(spaced.mkdir)
    ours.mount(spaced, "fsname=demo", user=caller)

    assert [str(spaced)] == offered(flag, str(mountpoint))
    assert [""] == offered(flag, str(mountpoint), user=another_user)
