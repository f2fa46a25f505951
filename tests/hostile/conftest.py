"""Fixtures of the attacks: see tests/hostile/README.md."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from support.program import Program
from support.weakened import Change, weaken


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
