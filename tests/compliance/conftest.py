"""Who asks, and where: for tests that run both programs on the same thing."""

import os
import stat
from pathlib import Path

import pytest

from support.users import ROOT, User

AWKWARD = (b"plain", b"with space", b"with\nline", b"x (deleted)", "\N{SNOWMAN}".encode(), b"\xff")


@pytest.fixture(params=["caller", "root"])
def user(request: pytest.FixtureRequest, caller: User) -> User:
    """What both of them may do, both are tested for."""
    return caller if request.param == "caller" else ROOT


@pytest.fixture
def furnished(home: Path, caller: User, another_user: User) -> Path:
    """A home with a directory of every awkward name, and what is no mountpoint."""
    place = os.fsencode(home)
    for name in (*AWKWARD, b"readonly", b"forbidden", b"forbidden/plain", b"sticky"):
        os.mkdir(os.path.join(place, name))
        os.chown(os.path.join(place, name), caller.uid, caller.gid)
    for file in ("file", "readonly-file"):
        (home / file).touch()
        os.chown(home / file, caller.uid, caller.gid)
    (home / "readonly-file").chmod(0o444)
    os.mkfifo(home / "fifo")
    for link, target in (("link", "plain"), ("loop", "loop"), ("dangling", "nowhere")):
        os.symlink(target, home / link)
    os.chown(home / "readonly", 0, 0)
    os.chown(home / "forbidden", another_user.uid, another_user.gid)
    (home / "forbidden").chmod(0o700)
    os.chown(home / "sticky", 0, 0)
    (home / "sticky").chmod(0o777 | stat.S_ISVTX)
    return home
