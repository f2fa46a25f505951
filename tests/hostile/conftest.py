"""Fixtures of the attacks: see tests/hostile/README.md."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.faults import injected
from support.held import Held
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


@pytest.fixture
def held(nothing_left: None) -> Iterator[Callable[..., Held]]:
    """Makes helpers that are held at a system call: see support/held.py."""
    made = []

    def hold(*words: Any, **how: Any) -> Held:
        made.append(Held(*words, **how))
        return made[-1]

    yield hold
    for program in made:
        program.clean_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many faults there were, in the output of every run."""
    if injected:
        counts = ", ".join(f"{count} {kind}" for kind, count in injected.items())
        terminalreporter.write_line(f"faults injected at system calls: {counts}")
