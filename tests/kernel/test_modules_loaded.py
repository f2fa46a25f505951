"""
The modules that each flow loads beyond the bare interpreter, by name.

Every one of them is paid for by every mount, and is code that runs with a capability at hand. Who
adds one adds it here, and says in the commit what it costs and why it is worth that.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import machine
from support.program import Program, Running
from support.users import ROOT, User

PYTHON = "/usr/bin/python3"
FLAGS = ("-I", "-S", "-B", "-c")
# In place of entry.py: on its way out it says, as stdout's last line, what has been loaded.
ENTRY = """
import posix, sys
leave = posix._exit
def say_and_leave(status):
    posix.write(1, ("\\n" + " ".join(sys.modules)).encode())
    leave(status)
posix._exit = say_and_leave
sys.path.insert(0, sys.argv.pop(1))
from fusermount_py.helper.main import main
main(sys.argv[1:], fuse_conf="/etc/fuse.conf", helper="/nowhere", guard="/nowhere")
"""

ALWAYS = {
    "_prctl", "_stat", "errno", "select",
    "fusermount_py",
    "fusermount_py.helper",
    "fusermount_py.helper.errors",
    "fusermount_py.helper.kernel",
    "fusermount_py.helper.kernel.privilege",
    "fusermount_py.helper.kernel.seats",
    "fusermount_py.helper.main",
    "fusermount_py.helper.protocol",
    "fusermount_py.helper.request",
}  # fmt: skip
# What stands between a path and a system call, for mounting and unmounting.
PATHS = {
    "_ctypes",
    "fcntl",
    "fusermount_py.helper.kernel.constants",
    "fusermount_py.helper.kernel.mount_identity",
    "fusermount_py.helper.kernel.mount_table",
    "fusermount_py.helper.kernel.mountpoint",
    "fusermount_py.helper.kernel.syscalls",
    "fusermount_py.helper.mount_entry",
    "fusermount_py.helper.permission",
}
MOUNT = {
    "_socket",
    "fusermount_py.helper.creation",
    "fusermount_py.helper.fuse_conf",
    "fusermount_py.helper.kernel.audit_trail",
    "fusermount_py.helper.kernel.comm",
    "fusermount_py.helper.kernel.device",
    "fusermount_py.helper.kernel.fs_context",
    "fusermount_py.helper.kernel.patience",
    "fusermount_py.helper.mount",
    "fusermount_py.helper.mount_max",
    "fusermount_py.helper.options",
}
UNMOUNT = {
    "_socket",  # for the audit trail: 0.2 ms
    "fusermount_py.helper.kernel.audit_trail",
    "fusermount_py.helper.kernel.patience",
    "fusermount_py.helper.unmount",
}


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What the interpreter itself loads."""
    command = [PYTHON, *FLAGS, "import sys; sys.stdout.write(' '.join(sys.modules))"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def start(ours: Program, caller: User) -> Iterator[Callable[..., Running]]:
    """Starts the installed helper's code with the ids that the setuid bit would give it."""
    python = Program(PYTHON)

    def become_setuid() -> None:
        os.setgroups([])
        os.setresgid(caller.gid, caller.gid, caller.gid)
        os.setresuid(caller.uid, 0, 0)

    def start(*words: str | Path) -> Running:
        code = (*FLAGS, ENTRY, machine.PREFIX / "lib" / "fusermount-py", "fusermount3")
        return python.start(*code, *words, user=ROOT, argv0=PYTHON, preexec_fn=become_setuid)

    yield start
    python.clean_up()


def loaded_by(running: Running) -> set[str]:
    result = running.wait()
    assert b"" == result.stderr
    return set(result.stdout.decode().rpartition("\n")[2].split())


@pytest.mark.parametrize(
    ("word", "more"),
    [
        ("-V", set()),
        ("-h", set()),
        (
            "--features",
            {
                "_ctypes",
                "fusermount_py.helper.kernel.constants",
                "fusermount_py.helper.kernel.syscalls",
            },
        ),
    ],
)
def test_a_question_loads_what_answers_it(
    start: Callable[..., Running], bare: set[str], word: str, more: set[str]
) -> None:
    """
    Programs ask at every start of theirs. Where there is a front, it answers without all of this.
    """
    answers = {"fusermount_py.helper.answers"}
    assert ALWAYS | answers | more == loaded_by(start(word)) - bare


def test_a_classic_mount_loads_these(
    start: Callable[..., Running], bare: set[str], mountpoint: Path
) -> None:
    """
    The time to the device is the time of these imports.
    """
    assert ALWAYS | PATHS | MOUNT == loaded_by(start("-o", "ro", "--", mountpoint)) - bare


def test_a_sync_init_mount_loads_no_more(
    start: Callable[..., Running], bare: set[str], mountpoint: Path
) -> None:
    """
    Its second thread comes from the interpreter itself.
    """
    running = start("--sync-init", "-o", "ro", "--", mountpoint)
    running.receive_device()
    running.proceed()

    assert ALWAYS | PATHS | MOUNT == loaded_by(running) - bare


@pytest.mark.parametrize(
    ("words", "more"), [(("-u",), {"fusermount_py.helper.stable_name"}), (("-u", "-z"), set())]
)
def test_an_unmount_loads_these(
    start: Callable[..., Running],
    ours: Program,
    bare: set[str],
    caller: User,
    mountpoint: Path,
    words: tuple[str, ...],
    more: set[str],
) -> None:
    """
    Nothing of mounting.
    """
    ours.mount(mountpoint, user=caller)

    assert ALWAYS | PATHS | UNMOUNT | more == loaded_by(start(*words, "--", mountpoint)) - bare
