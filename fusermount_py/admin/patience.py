"""
Reading with a clock what may never come.

Most files of /proc/PID take locks that the process may hold while it waits, for a hung mount say;
ps then hangs. So they are read in a thread that is left behind when it takes too long. A wait for
such a lock ends with us; one for a FUSE server does not, and is for `apart`.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import click

Answer = TypeVar("Answer")
_SECONDS = 0.5


def in_time(work: Callable[[], Answer]) -> Answer:
    """What ``work`` returns or raises; TimeoutError if it is still at it after half a second."""
    answers: list[Answer] = []
    errors: list[OSError] = []

    def run() -> None:
        try:
            answers.append(work())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)  # blocked for ever, it ends with us
    try:
        thread.start()
    except RuntimeError as error:
        raise click.ClickException("this user may start no more threads (ulimit -u)") from error
    thread.join(_SECONDS)
    if answers:
        return answers[0]
    raise errors[0] if errors else TimeoutError
