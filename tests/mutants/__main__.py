"""
make -C packaging mutants [MUTANTS=all|today|WORDS]

    all      every row of the table
    today    each tenth, another one every day
    WORDS    the rows whose name holds these words

Run as root. Exit status 1 if a defence was taken out and no test went red, 2 if a row, or a test
of it, is itself at fault. Prints a table and writes packaging/build/mutants.json.
"""

import datetime as dt
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NoReturn

from mutants.mutant import (
    SOURCE,
    Answer,
    Mutant,
    Outcome,
    covers,
    kill_children,
    take_snapshot,
    try_mutant,
    try_sound,
)  # fmt: skip
from mutants.table import MUTANTS
from support import kernel, leaks

AT_A_TIME = 2
RESULTS = SOURCE / "packaging" / "build" / "mutants.json"


def chosen(words: str) -> list[Mutant]:
    """The rows that MUTANTS= asks for."""
    if words == "all":
        return list(MUTANTS)
    if words == "today":
        return list(MUTANTS[dt.datetime.now(tz=dt.UTC).date().toordinal() % 10 :: 10])
    return [mutant for mutant in MUTANTS if words in mutant.name]


def _listen(end: Callable[[], NoReturn]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())


def _begin_worker() -> None:
    """What ends us ends its workers, and what ends a worker ends its tests."""
    kernel.become_subreaper()
    _listen(_end_worker)
    kernel.die_with_parent(signal.SIGTERM)


def _end_worker() -> NoReturn:
    try:
        kill_children()
    finally:
        os._exit(1)  # the copies are removed by the one who started us


def _end() -> NoReturn:
    for pid in leaks.children():
        os.kill(pid, signal.SIGTERM)
    sys.exit(1)


def run(rows: list[Mutant]) -> list[Outcome]:
    """Each row, and, beside them, once, all of their tests on sound sources."""
    outcomes = {}
    context = multiprocessing.get_context("fork")
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        ProcessPoolExecutor(AT_A_TIME, context, _begin_worker) as pool,
    ):
        sources = Path(folder, "sources")
        take_snapshot(sources)
        sound = pool.submit(try_sound, {test for row in rows for test in row.tests}, sources)
        running = {pool.submit(try_mutant, row, sources): row for row in rows}
        for future in as_completed(running):
            outcome = future.result()
            outcomes[outcome.name] = outcome
            print(f"{outcome.verdict:5} {outcome.seconds:5.1f} s  {outcome.name}", flush=True)
        return [_believed(row, outcomes[row.name], sound.result()) for row in rows]


def _believed(row: Mutant, outcome: Outcome, sound: Answer) -> Outcome:
    """A test that is not green on sound sources shows nothing of a mutant."""
    if sound.error:
        return outcome._replace(verdict="error", detail=f"on sound sources: {sound.error}")
    for test in row.tests:
        bad = {
            case: why for case, why in (sound.failed | sound.other).items() if covers(test, case)
        }
        if bad or not any(covers(test, case) for case in sound.passed):
            detail = f"not green on sound sources: {bad or test}"
            return outcome._replace(verdict="error", detail=detail)
    return outcome


def table(rows: list[Mutant], outcomes: list[Outcome]) -> str:
    """For the closing note of a piece of work."""
    lines = ["| without this | | seconds | tests |", "|---|---|---|---|"]
    for row, outcome in zip(rows, outcomes, strict=True):
        tests = ", ".join(dict.fromkeys(test.partition("[")[0] for test in row.tests))
        names = tests.replace("tests/", "").replace("::", " ")
        lines.append(f"| {row.name} | {outcome.verdict} | {outcome.seconds:.0f} | {names} |")
    return "\n".join(lines)


def main(words: str) -> int:
    """The exit status."""
    if os.geteuid() != 0:
        print("mutants: the tests need root")
        return 2
    rows = chosen(words)
    if not rows:
        print(f"mutants: no row's name holds {words!r}")
        return 2
    _listen(_end)
    outcomes = run(rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([outcome._asdict() for outcome in outcomes], indent=1) + "\n")
    print("\n" + table(rows, outcomes) + "\n")
    wrong = [outcome for outcome in outcomes if outcome.verdict != "red"]
    for outcome in wrong:
        print(f"{outcome.verdict}: {outcome.name}: {outcome.detail}")
    print(f"{len(rows) - len(wrong)} of {len(rows)} defences are noticed when they are gone")
    if any(outcome.verdict == "green" for outcome in wrong):
        return 1
    return 2 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(os.environ.get("MUTANTS") or "all"))
