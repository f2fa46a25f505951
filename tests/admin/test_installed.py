"""The installed `fusermount-py`, and the unit that keeps a machine clean with it."""

import re
import subprocess
from pathlib import Path

from support import machine
from support.admin import Admin, Serve
from support.mount_table import mounts_at
from support.program import PATIENCE
from support.users import User

COMMAND = machine.PREFIX / "bin" / "fusermount-py"
UNIT = machine.PREFIX / "lib" / "systemd" / "system" / "fusermount-py-reap.service"


def test_make_install_brings_the_command(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    It finds what it imports by itself, whatever PYTHONPATH says.
    """
    serve(mountpoint)
    result = subprocess.run(
        [COMMAND, "mounts"], user=caller.uid, env={"PYTHONPATH": "/nowhere"}, capture_output=True,
        check=True,
    )  # fmt: skip

    assert bytes(mountpoint) in result.stdout


def test_where_click_is_missing_the_command_says_so_in_a_line(admin: Admin) -> None:
    """
    Installed by pip it may come without its extra; nobody should read a traceback for that.
    """
    script = "import sys; sys.modules['click'] = None; sys.argv = ['x']; import runpy;"
    script += "runpy.run_module('fusermount_py.admin', run_name='__main__')"
    result = subprocess.run(
        ["/usr/bin/python3", "-c", script], env=admin.environment, capture_output=True, check=False
    )

    assert (1, 1) == (result.returncode, result.stderr.count(b"\n"))
    assert b"fusermount-py needs click" in result.stderr


def test_the_units_capabilities_are_enough_to_reap(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    It runs as root on every machine: it gets what it needs, and nothing more.
    """
    unit = UNIT.read_text(encoding="utf-8")
    (names,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    (words,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    bounding = ",".join(["-all", *(f"+{name[4:].lower()}" for name in names.split())])
    serve(mountpoint).peer.kill()
    limited = ["setpriv", f"--bounding-set={bounding}", "--inh-caps=-all", "--no-new-privs"]
    assert words == f"{COMMAND} reap --watch"

    result = subprocess.run(
        [*limited, COMMAND, "reap"], capture_output=True, check=False, timeout=PATIENCE
    )

    assert (0, b"") == (result.returncode, result.stderr)
    assert [] == mounts_at(mountpoint)
