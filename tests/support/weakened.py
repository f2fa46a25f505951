"""
A copy of the helper with one defence taken out: an attack that wins there, and not on ours, is one.

    weakened(Change("fusermount_py/helper/unmount.py", "what stands there", "what is put there"))
"""

import itertools
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from support import machine
from support.program import Program

_numbers = itertools.count(1)


class Change(NamedTuple):
    """In the file at `path`, the text `old`, which stands there once, becomes `new`."""

    path: str
    old: str
    new: str


def weaken(*changes: Change) -> tuple[Program, Path]:
    """The changed helper, built and installed setuid as ever, and the folder to remove."""
    place = machine.SCRATCH / f"weakened-{next(_numbers)}"
    source = place / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("fusermount_py", "packaging"):
        shutil.copytree(machine.SOURCE / folder, source / folder, ignore=ignore)
    for change in changes:
        file = source / change.path
        text = file.read_text(encoding="utf-8")
        assert 1 == text.count(change.old), f"{change.path} has changed: {change.old!r}"
        file.write_text(text.replace(change.old, change.new), encoding="utf-8")
    where = (f"--directory={source / 'packaging'}", f"PREFIX={place}", f"SOURCE={source}")
    try:
        machine.make(*where, "install")
    except BaseException:
        shutil.rmtree(place)
        raise
    return Program(str(place / "bin" / "fusermount3")), place


class Target(NamedTuple):
    """What is attacked: ours, or a copy without the defence."""

    program: Program
    is_weak: bool


def against(*changes: Change) -> pytest.MarkDecorator:
    """Runs the test twice, on ours and on a copy with these changes: its fixture `target`."""
    return pytest.mark.parametrize("target", [(), changes], indirect=True, ids=["ours", "weakened"])
