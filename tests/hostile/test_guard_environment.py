"""What a guard hands on to the helper that it starts as its last act."""

import json
import os
import socket
import subprocess
from pathlib import Path

from support import machine
from support.flows import until
from support.program import PATIENCE
from support.users import User

STAND_IN = """#!/usr/bin/python3 -ISB
import json, os, sys
with open(sys.argv[-1] + ".part", "w") as report:
    json.dump(dict(os.environ), report)
os.rename(sys.argv[-1] + ".part", sys.argv[-1])
"""


def test_nothing_of_a_guards_environment_reaches_the_helper(
    installed_helper: str, home: Path, caller: User
) -> None:
    """
    Anybody can start a guard by hand, in any environment; the helper that it starts is setuid.
    """
    stand_in, report = home / "helper", home / "report"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    ours, theirs = socket.socketpair()
    guard = subprocess.Popen(
        ["guard", stand_in, "fusermount3", str(theirs.fileno()), "1", report],
        executable=machine.PREFIX / "lib" / "fusermount-py" / "guard",
        user=caller.uid, group=caller.gid, extra_groups=(), pass_fds=[theirs.fileno()],
        env={"HOME": "/nowhere", "PYTHONPATH": "/nowhere", "LD_BIND_NOW": "1"},
    )  # fmt: skip
    theirs.close()
    ours.close()
    guard.wait(PATIENCE)
    until(report.exists, "the stand-in reports")

    environment = json.loads(report.read_text(encoding="utf-8"))
    environment.pop("LC_CTYPE", None)  # python's own
    assert {} == environment
    assert os.stat(report).st_uid == caller.uid
