"""What people and programs read: tables as wide as the terminal, JSON, colour on a terminal."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence

import click

Cell = str
_COLOURS = {
    "alive": "green", "ok": "green", "dead": "red", "failed": "red", "hung": "yellow",
    "starting": "cyan", "warning": "yellow", "unknown": "bright_black",
}  # fmt: skip
_GAP = "  "


def printable(text: str) -> str:
    """Control characters and bytes that are no UTF-8 as octal, like the kernel's mount table."""
    return "".join(
        one if one.isprintable() else "".join(f"\\{byte:03o}" for byte in _bytes(one))
        for one in text
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def duration(seconds: float) -> str:
    """The two largest units: 3m12s."""
    whole = int(seconds)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"),
                                            (60, "m", 1, "s")):  # fmt: skip
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller}{small_unit}"
    return f"{whole}s"


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def coloured(word: str, text: str | None = None) -> str:
    """``text``, or the word, in the word's colour; click takes the colour out for a pipe."""
    colour = None if "NO_COLOR" in os.environ else _COLOURS.get(word)
    return click.style(word if text is None else text, fg=colour) if colour else text or word


def print_json(answer: object) -> None:
    """One value; a byte of a name that is no UTF-8 is its lone surrogate, as Python reads it."""
    click.echo(json.dumps(answer, indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, flexible: int = 0) -> None:
    """
    Columns in line; on a terminal that is too narrow the column ``flexible`` is shortened.

    For a pipe nothing is shortened. A cell that is the name of a state gets its colour.
    """
    lines = [[*heads], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    if is_terminal():
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - shutil.get_terminal_size().columns
        widths[flexible] -= max(0, min(excess, widths[flexible] - len(heads[flexible])))
    for number, line in enumerate(lines):
        cells = [_fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        if number:
            cells = [coloured(cell.strip(), cell) for cell in cells]
        click.echo(_GAP.join(cells).rstrip())


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else "…" + cell[len(cell) - width + 1 :]


def complain(sentence: str) -> None:
    """One line for people, on stderr."""
    click.echo(f"fusermount-py: {printable(sentence)}", err=True)
