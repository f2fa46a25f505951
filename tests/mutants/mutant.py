"""
One defence taken out of a copy of the sources, and the tests that must go red for it.

    copy -> changed -> a mount that must still work, then the row's tests -> red, green or an error

Red means that a test failed in its body. A copy that does not compile, install or mount at all,
tests that cannot be collected, are skipped, or hang, show nothing: they are errors of the table.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from support import leaks
from support.weakened import Change

SOURCE = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", ".*_cache", ".hypothesis")
# Most defences cost an honest user nothing: a mutant that cannot even mount is a broken one.
WORKS = "tests/kernel/test_names.py::test_many_words_name_the_same_mountpoint[classic-mountpoint]"
ROW_SECONDS = 180  # a liveness bound
SOUND_SECONDS = 1800  # for every test of every row, once
# What a test of the hostile folder says whose own change meets the mutant's: nothing was attacked.
NOT_ATTACKED = ("has changed: ", "CalledProcessError")


class Mutant(NamedTuple):
    """``name``: what is true with the defence; ``tests``: node ids of pytest, some go red."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


class Answer(NamedTuple):
    """What became of each test, by node id; ``error``: why that says nothing."""

    failed: dict[str, str]
    passed: set[str]
    other: dict[str, str]  # errors outside a test's body, and skips
    error: str


class Outcome(NamedTuple):
    """A row's end."""

    name: str
    verdict: str  # "red": killed; "green": the defence is not there for any test; "error"
    seconds: float
    detail: str


def take_snapshot(place: Path) -> None:
    """What rows take their copies of: someone may go on editing the sources meanwhile."""
    shutil.copytree(SOURCE, place, ignore=IGNORED, symlinks=True)


def try_mutant(mutant: Mutant, sources: Path) -> Outcome:
    """Take the defence out and run the row's tests."""
    begin = time.monotonic()
    tests = (WORKS, *mutant.tests)
    answer = run_tests(tests, mutant.changes, sources, ROW_SECONDS, "-x", "--timeout=20")
    verdict, detail = judge(answer)
    return Outcome(mutant.name, verdict, time.monotonic() - begin, detail)


def try_sound(tests: Iterable[str], sources: Path) -> Answer:
    """The same tests on sources that nothing was taken out of: what is red there proves nothing."""
    return run_tests(sorted({WORKS, *tests}), (), sources, SOUND_SECONDS)


def covers(test: str, case: str) -> bool:
    """Whether the case that pytest ran belongs to the id that was asked for."""
    return case == test or case.startswith((f"{test}[", f"{test}::"))


def judge(answer: Answer) -> tuple[str, str]:
    """The verdict, and what it stands on."""
    if answer.error:
        return "error", answer.error
    if WORKS not in answer.passed:
        return "error", "the mutant cannot even mount: " + answer.failed.get(WORKS, "")
    failed = {case: why for case, why in answer.failed.items() if case != WORKS}
    attacked = {
        case: why for case, why in failed.items() if not any(words in why for words in NOT_ATTACKED)
    }
    if attacked:
        case, why = next(iter(attacked.items()))
        return "red", f"{case}: {why}"
    if failed or answer.other:
        return "error", str(failed or answer.other)
    if not answer.passed - {WORKS}:
        return "error", "no test has run"
    return "green", "no test noticed"


def run_tests(
    tests: Iterable[str], changes: tuple[Change, ...], sources: Path, seconds: float, *words: str
) -> Answer:
    """In a copy of its own, which goes with all that was started in it."""
    with tempfile.TemporaryDirectory(dir=sources.parent) as folder:
        place = Path(folder, "source")
        shutil.copytree(sources, place, symlinks=True)
        (place / ".venv").symlink_to(SOURCE / ".venv")
        try:
            for change in changes:
                _apply(change, place)
        except (AssertionError, SyntaxError) as why:
            return Answer({}, set(), {}, str(why))
        report = Path(folder, "report.xml")
        command: list[str | Path] = [
            place / ".venv" / "bin" / "python", "-B", "-m", "pytest", "-q",
            "-p", "no:cacheprovider", f"--junitxml={report}", *words, *tests,
        ]  # fmt: skip
        error = _run(command, place, seconds)
        return _read(report, error)


def _apply(change: Change, place: Path) -> None:
    file = place / change.path
    text = file.read_text(encoding="utf-8")
    assert 1 == text.count(change.old), f"{change.path} has changed: {change.old!r}"
    text = text.replace(change.old, change.new)
    if file.suffix == ".py":
        compile(text, change.path, "exec")
    file.write_text(text, encoding="utf-8")


def _run(command: list[str | Path], place: Path, seconds: float) -> str:
    """Why the run says nothing; "" if it does."""
    with subprocess.Popen(
        command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"not over within {seconds:g} seconds"
        finally:
            kill_children(process.pid)
    if process.returncode in (0, 1):
        return ""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return f"pytest ended with {process.returncode}: {' / '.join(lines[-3:])}"


def kill_children(but: int = 0) -> None:
    """Tests, and their orphans, who are our children since we are their subreaper."""
    while pids := [pid for pid in leaks.children() if pid != but]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _read(report: Path, error: str) -> Answer:
    answer = Answer({}, set(), {}, error)
    if error:
        return answer
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  # pytest's own file
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        kinds = {child.tag: child.get("message") or "" for child in case}
        if "failure" in kinds:
            answer.failed[name] = kinds["failure"][:300]
        elif "error" in kinds or "skipped" in kinds:
            answer.other[name] = str(kinds)[:300]
        else:
            answer.passed.add(name)
    return answer
