"""Linters and type checkers, as tests: what they find is as broken as a failing test."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.essential import essential_skip
from support.front import words_for_c

SOURCE = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
C_SOURCES = sorted((SOURCE / "packaging" / "launcher").glob("*.c"))
SHELL_SCRIPTS = [
    path
    for pattern in (
        ".ci/*",
        "packaging/**/*.sh",
        "packaging/completion/*",
        "packaging/debian/p*",
    )
    for path in SOURCE.glob(pattern)
    if path.is_file() and path.suffix in ("", ".sh", ".bash")
]


def satisfy(tool: str, *arguments: str | Path) -> None:
    """Fail with what `tool` prints when it is not content."""
    beside_python = TOOLS / tool
    program = str(beside_python) if beside_python.exists() else shutil.which(tool)
    if program is None:
        essential_skip(f"needs {tool}: run packaging/setup.sh test")
    result = subprocess.run(
        [program, *arguments], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        pytest.fail(result.stdout + result.stderr, pytrace=False)


def test_ruff_finds_nothing() -> None:
    """
    Each exception stands in pyproject.toml, or beside its line, with its reason.
    """
    satisfy("ruff", "check", "--no-cache", "--output-format=concise")


def test_the_code_is_formatted() -> None:
    """
    A change must show what it changes, and not how someone's editor is set.
    """
    satisfy("ruff", "format", "--no-cache", "--check")


@pytest.mark.timeout(300)
def test_mypy_finds_nothing() -> None:
    """
    Strictly typed: a str where bytes belong is a wrong path in a setuid program.
    """
    satisfy("mypy", "--no-error-summary")


def test_every_ignored_complaint_has_its_reason() -> None:
    """
    An ignore without a reason hides the next, real complaint on that line.
    """
    bare = [
        f"{path.relative_to(SOURCE)}:{number}"
        for folder in ("fusermount_py", "packaging", "tests")
        for path in sorted((SOURCE / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for mark in ("# noqa", "# type: ignore")
        if mark + ":" in line and "#" not in line.partition(mark)[2].removeprefix(":")
    ]

    assert [] == bare


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    """
    These scripts run as root in other people's builds.
    """
    satisfy("shellcheck", script)


@pytest.mark.parametrize("source", C_SOURCES, ids=lambda path: path.name)
def test_the_compiler_finds_nothing(source: Path) -> None:
    """
    One of these programs is setuid root; the analyzer reads every path through it.
    """
    strict = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wvla", "-Werror", "-fanalyzer")
    names = ('-DPYTHON="/usr/bin/python3"', '-DENTRY="/entry.py"')
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "words.h").write_text(words_for_c(), encoding="ascii")
        target = ("-O2", "-std=c17", f"-I{folder}", "-c", "-o", Path(folder, "object"))
        satisfy("gcc", *strict, *names, *target, source)


def test_the_setuid_front_is_read_in_one_sitting() -> None:
    """
    Whoever packages this program reads all of it first.
    """
    folder = SOURCE / "packaging" / "launcher"
    front = {folder / f"{name}.h" for name in ("descriptors", "inherited", "limits", "bare")}
    lines = {
        path.name: path.read_text(encoding="utf-8").count("\n")
        for path in (folder / "launcher.c", folder / "answers.c", *front)
    }

    assert lines["launcher.c"] < 150
    assert sum(lines.values()) < 600
