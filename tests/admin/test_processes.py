"""What the admin's command reads of other processes, it reads with a clock."""

import os
from pathlib import Path

import pytest

from fusermount_py.admin import patience, processes


def test_what_does_not_come_is_left_behind(tmp_path: Path) -> None:
    """
    Most files of /proc/PID take locks of that process, and ps hangs with it; we must not. A FIFO
    that nobody writes blocks as well as they do.
    """
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    with pytest.raises(TimeoutError):
        patience.in_time(fifo.read_bytes)

    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go


def test_what_comes_or_fails_is_passed_on() -> None:
    """
    A process that has ended in between is no reason to say anything.
    """
    assert os.getpid() == patience.in_time(lambda: processes.read(os.getpid())).pid
    with pytest.raises(FileNotFoundError):
        patience.in_time(lambda: processes.read(2**30))
