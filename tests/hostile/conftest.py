"""Fixtures of the attacks: see tests/hostile/README.md."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from support.faults import injected
from support.program import Program
from support.weakened import Change, Target, weaken


@pytest.fixture
def weakened(nothing_left: None) -> Iterator[Callable[..., Program]]:
    """Builds a helper without one of its defences, for this test alone."""
    made = []

    def build(*changes: Change) -> Program:
        program, place = weaken(*changes)
        made.append((program, place))
        return program

    yield build
    for program, place in made:
        program.clean_up()
        shutil.rmtree(place)


@pytest.fixture
def target(
    request: pytest.FixtureRequest, ours: Program, weakened: Callable[..., Program]
) -> Target:
    """Of a test that is marked with `against(...)`."""
    changes: tuple[Change, ...] = request.param
    return Target(weakened(*changes) if changes else ours, is_weak=bool(changes))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many faults there were, in the output of every run."""
    if injected:
        counts = ", ".join(f"{count} {kind}" for kind, count in injected.items())
        terminalreporter.write_line(f"faults injected at system calls: {counts}")
