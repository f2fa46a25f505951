"""The helper's own finder of modules: what it opens, and what happens where it finds nothing."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import machine
from support.flows import classic
from support.program import Program
from support.users import User

Spoil = Callable[[Path], object]


@pytest.fixture
def spoiled(nothing_left: None) -> Iterator[Callable[[Spoil], Program]]:
    """A second installation, each compiled file of which has been spoiled."""
    prefix = machine.SCRATCH / "spoiled"

    def install(spoil: Spoil) -> Program:
        path = machine.install(prefix)
        compiled = list((prefix / "lib").rglob("*.pyc"))
        assert len(compiled) > 20
        for each in compiled:
            spoil(each)
        return programs.setdefault("spoiled", Program(str(path)))

    programs: dict[str, Program] = {}
    yield install
    for program in programs.values():
        program.clean_up()
    machine.uninstall(prefix)


def test_no_folder_is_listed_and_no_source_looked_for(ours: Program, caller: User) -> None:
    """
    That is half a millisecond of every mount, for what `make install` knew.
    """
    trace = ["strace", "-u", f"test{caller.uid}", "-e", "trace=%file"]
    result = subprocess.run(
        [*trace, ours.path, "--wrong"], capture_output=True, text=True, check=False
    )

    paths = re.findall(r'"([^"]*/fusermount_py/[^"]*)"', result.stderr)
    assert 1 == result.returncode
    assert len(paths) > 5
    assert [] == [path for path in paths if not path.endswith(".pyc")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\x0b\x0c\r\n" + bytes(60)),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["of another Python", "empty", "gone"],
)
def test_without_a_fitting_compiled_file_the_source_serves(
    spoiled: Callable[[Spoil], Program], caller: User, mountpoint: Path, spoil: Spoil
) -> None:
    """
    A system upgrade brings another Python before anybody installs the helper again.
    """
    program = spoiled(spoil)

    result = classic(program, mountpoint, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert os.path.ismount(mountpoint) or result.device is not None
    assert (0, b"") == program.unmount(mountpoint, "-z", user=caller)[::2]
