"""
Samples -> one table for people, one JSON file for machines.

A row holds milliseconds (median, quartiles in the JSON), what that is in bare interpreter starts,
and the most that it may be. Nothing fails here: machines differ, and people judge.
"""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.guards import Guards
from benchmarks.reaping import IDLE_SECONDS, Reaping
from benchmarks.timings import (
    BARE,
    FD,
    FEATURES,
    HELP,
    SEQUENCE,
    SYNC_INIT,
    UNMOUNT,
    VERSION,
    Crowd,
    Times,
)
from benchmarks.waiting import Waiting

OURS, THEIRS = "ours", "theirs"
# figure: the most it may cost, in starts of the bare interpreter
BUDGETS = {FD: 1.5, SYNC_INIT: 1.6, UNMOUNT: 1.5}
# What is answered without mounting: the most, in C's --version.
ANSWERS, OF_VERSION = (VERSION, HELP, FEATURES), 0.6
SCALED = (FD, SYNC_INIT, UNMOUNT)


class Listing(NamedTuple):
    """The admin's `mounts` with so many FUSE mounts."""

    mounts: int
    seconds: list[float]


class Results(NamedTuple):
    """All that was measured. `by_table_size`: number of other mounts -> times."""

    times: Times
    by_table_size: dict[int, Times]
    crowds: dict[str, Crowd]
    lone_guards: dict[str, Guards]
    guards: dict[str, Guards]
    waiting: Waiting
    listing: Listing
    reaping: Reaping


def table(results: Results) -> Iterator[str]:
    """Lines for a terminal; they are a table in Markdown, too."""
    bare = statistics.median(results.times[BARE][BARE])
    yield _row("figure", "C", "ours", "ours / bare", "budget")
    yield "|---|--:|--:|--:|--:|"
    yield _row("bare interpreter", "", f"{bare:.2f} ms", "1", "")
    for figure, budget in BUDGETS.items():
        ours, theirs = (_median(results.times, figure, program) for program in (OURS, THEIRS))
        ratio = f"{ours / bare:.2f}" if ours else ""
        yield _row(figure, _milliseconds(theirs), _milliseconds(ours), ratio, f"≤ {budget}")
    yield from _answers(results.times)
    yield from _growth(results.by_table_size)
    yield _waiting(results.waiting)
    yield from _guards(results.lone_guards, results.guards)
    yield from _crowds(results.crowds)
    seconds = statistics.median(results.listing.seconds)
    name = f"admin mounts, {results.listing.mounts:,} FUSE mounts"
    yield _row(name, "", f"{seconds:.2f} s", "", "≤ 1 s")
    reaping = results.reaping
    name = f"admin reap --watch, {reaping.killed} servers killed: all gone"
    yield _row(name, "", f"{reaping.seconds:.2f} s", "", "≤ 2 s")
    name = f"admin reap --watch, {IDLE_SECONDS:.0f} s idle: processor time"
    yield _row(name, "", f"{1000 * reaping.idle_work:.0f} ms", "", "0")


def _answers(times: Times) -> Iterator[str]:
    their_version = _median(times, VERSION, THEIRS)
    for figure in ANSWERS:
        ours, theirs = (_median(times, figure, program) for program in (OURS, THEIRS))
        ratio = f"{ours / their_version:.2f} of C" if ours and their_version else ""
        yield _row(figure, _milliseconds(theirs), _milliseconds(ours), ratio, f"≤ {OF_VERSION}")
    ours, theirs = (_median(times, SEQUENCE, program) for program in (OURS, THEIRS))
    yield _row(SEQUENCE, _milliseconds(theirs), _milliseconds(ours), "", "")


def _growth(by_table_size: dict[int, Times]) -> Iterator[str]:
    few, *_, many = by_table_size
    for figure in SCALED:
        growths: dict[str, float | None] = {}
        for program in (OURS, THEIRS):
            ends = [_median(by_table_size[size], figure, program) for size in (few, many)]
            growths[program] = ends[1] - ends[0] if ends[0] and ends[1] else None
        name = f"{figure}: {many:,} other mounts, not {few}"
        cells = [_milliseconds(growths[program], "+") for program in (THEIRS, OURS)]
        yield _row(name, *cells, "", "≤ C" if cells[0] else "")


def _waiting(waiting: Waiting) -> str:
    alone, beside = (statistics.median(times) for times in (waiting.alone, waiting.beside))
    name = f"{FD}: {waiting.seats:,} helpers waiting, not 0"
    return _row(name, "", _milliseconds(beside - alone, "+"), "", f"≤ +{alone / 2:.0f} ms")


def _guards(lone: dict[str, Guards], many: dict[str, Guards]) -> Iterator[str]:
    count = many[OURS].number
    rows = (
        ("waiting guard, PSS", lone, "{0.total_pss} kB", "≤ C"),
        ("waiting guard, private dirty", lone, "{0.private_dirty} kB", "≤ C"),
        (f"{count} guards, PSS", many, "{0.total_pss:,} kB", "≤ C"),
        (f"{count} servers killed: all guards done", many, "{0.seconds:.1f} s", "≤ 10 s"),
        (f"{count} servers killed: mounts left", many, "{0.mounts_left}", "0"),
    )
    for figure, guards, words, budget in rows:
        cells = (_cell(words, guards, program) for program in (THEIRS, OURS))
        yield _row(figure, *cells, "", budget)


def _crowds(crowds: dict[str, Crowd]) -> Iterator[str]:
    words = "{0.mounts_per_second:.0f}/s"
    cells = [_cell(words, crowds, program) for program in (THEIRS, OURS)]
    bare = crowds[OURS].bare_starts_per_second
    yield _row("bare starts, 8 at a time", "", f"{bare:.0f}/s", "", "")
    yield _row("mounts and unmounts, 8 at a time", *cells, "", "")


def _row(figure: str, *cells: str) -> str:
    widths = (9, 9, 11, 8)
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"| {figure:54} | {' | '.join(padded)} |"


def _cell(words: str, by_program: dict[str, Guards] | dict[str, Crowd], program: str) -> str:
    return words.format(by_program[program]) if program in by_program else ""


def _milliseconds(number: float | None, sign: str = "") -> str:
    return "" if number is None else f"{number:{sign}.2f} ms"


def _median(times: Times, figure: str, program: str) -> float | None:
    """None where a program has no such figure."""
    samples = times[figure].get(program)
    return statistics.median(samples) if samples else None


def as_json(results: Results) -> dict[str, object]:
    """The machine, and of each figure the median, the quartiles, the ratio, and every sample."""
    return {
        "machine": machine(),
        "figures": _figures(results.times),
        "other mounts": {str(size): _figures(each) for size, each in results.by_table_size.items()},
        "guards": {
            program: [results.lone_guards[program]._asdict(), guards._asdict()]
            for program, guards in results.guards.items()
        },
        "helpers waiting": results.waiting._asdict(),
        "admin mounts": results.listing._asdict(),
        "admin reap --watch": results.reaping._asdict(),
        "8 at a time": {program: crowd._asdict() for program, crowd in results.crowds.items()},
    }


def _figures(times: Times) -> dict[str, dict[str, dict[str, object]]]:
    bare = statistics.median(times[BARE][BARE])
    return {
        figure: {program: _summary(samples, bare) for program, samples in by_program.items()}
        for figure, by_program in times.items()
    }


def _summary(samples: list[float], bare: float) -> dict[str, object]:
    first, median, third = statistics.quantiles(samples, n=4)
    return {
        "unit": "ms",
        "median": round(median, 3),
        "quartiles": [round(first, 3), round(third, 3)],
        "ratio to bare": round(median / bare, 3),
        "samples": [round(sample, 3) for sample in samples],
    }


def machine() -> dict[str, object]:
    """The kind of machine: nothing that names this one."""
    release = platform.freedesktop_os_release()
    version = subprocess.run(
        ["/usr/bin/fusermount3", "--version"], capture_output=True, text=True, check=False
    )
    return {
        "kernel": "Linux " + ".".join(platform.release().split(".")[:2]),
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "system": release.get("PRETTY_NAME", "unknown"),
        "python": platform.python_version(),
        "C helper": version.stdout.strip() or "none",
    }
