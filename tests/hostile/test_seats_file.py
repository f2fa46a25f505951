"""The file of seats belongs to root, and to nobody else's eyes: whoever can open it can lock it."""

import os
from pathlib import Path

import pytest

from support.program import Program
from support.users import User


def test_nobody_else_can_hold_a_seat(
    ours: Program, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    A read lock needs no more than reading, and one of all seats keeps everybody from mounting.
    """
    assert 0 == ours.mount(mountpoint, user=caller).exit_status
    files = sorted(Path("/run").glob("fusermount3*"))

    assert files
    for file in files:
        for flags in (os.O_RDONLY, os.O_WRONLY):
            for user in (caller, another_user):
                with pytest.raises(PermissionError):
                    user.call(os.open, file, flags)
