"""The table of tests/mutants still speaks of the code that is there."""

from collections import Counter
from pathlib import Path

import pytest

from mutants.mutant import WORKS, Answer, Mutant, judge
from mutants.table import MUTANTS

SOURCE = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_row_still_applies(mutant: Mutant) -> None:
    """
    A defence that was rewritten would else be taken out by nobody any more, without a word.
    """
    for change in mutant.changes:
        text = (SOURCE / change.path).read_text(encoding="utf-8")
        assert 1 == text.count(change.old), f"{change.path}: {change.old!r}"
        assert change.old != change.new


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_rows_tests_are_there(mutant: Mutant) -> None:
    """
    A row whose test was renamed says that nothing was noticed, and looks like a hole.
    """
    assert mutant.tests
    for test in mutant.tests:
        file, _, function = test.partition("[")[0].partition("::")
        text = (SOURCE / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text


def test_every_row_has_a_name_of_its_own() -> None:
    """
    The name is how a row is asked for, and what the results are kept by.
    """
    assert [] == [name for name, count in Counter(row.name for row in MUTANTS).items() if count > 1]


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        ("red", Answer({"t.py::a": "assert 1 == 0"}, {WORKS}, {}, "")),
        ("green", Answer({}, {WORKS, "t.py::a"}, {}, "")),
        ("error", Answer({}, {WORKS}, {}, "")),
        ("error", Answer({}, {WORKS}, {"t.py::a": "skipped"}, "")),
        ("error", Answer({}, {WORKS, "t.py::a"}, {"t.py::b": "error in a fixture"}, "")),
        ("error", Answer({WORKS: "assert 0 == 1"}, set(), {}, "")),
        ("error", Answer({"t.py::a": "AssertionError: a.py has changed: 'x'"}, {WORKS}, {}, "")),
        ("error", Answer({}, set(), {}, "pytest ended with 4")),
    ],
)
def test_only_a_test_that_fails_in_a_copy_that_mounts_is_red(verdict: str, answer: Answer) -> None:
    """
    Whatever does not even start looks like a defence that somebody noticed the loss of.
    """
    assert verdict == judge(answer)[0]
