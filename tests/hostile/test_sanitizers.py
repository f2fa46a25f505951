"""
The two programs of C, built with what finds their mistakes: AddressSanitizer and UBSan for the
launcher; for the guard and the answers, which have no C library, UBSan's traps.
"""

import ctypes
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from support.mount_table import mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change

BUILD = (
    Change(
        "packaging/Makefile",
        "$(HARDEN) -static-pie -DPYTHON",
        "$(HARDEN) -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all"
        " -DPYTHON",
    ),
    Change(
        "packaging/Makefile",
        "$(HARDEN) $(BARE) launcher/guard.c",
        "$(HARDEN) $(BARE) -fsanitize=undefined -fsanitize-undefined-trap-on-error"
        " launcher/guard.c",
    ),
    Change(
        "packaging/Makefile",
        "$(HARDEN) $(FREE) -I",
        "$(HARDEN) $(FREE) -fsanitize=undefined -fsanitize-undefined-trap-on-error -I",
    ),
)
QUESTIONS = [
    ["-h"], ["--features="], ["--features=" + "x" * 100_000], ["-" + "u" * 100_000 + "h"],
    ["--" + "f" * 100_000], ["-o"], ["--comm-fd"], ["--=", "-"], ["\udcff", "-\udcff", "-V"],
]  # fmt: skip
MANY = ["x"] * 100_000
COMM_FD = [
    ["--comm-fd"], ["--comm-fd="], ["--c", "3"], ["--c=" + "9" * 5000], ["--comm-fd", "-1"],
    ["--comm-fd=2147483648"], ["--comm-fd=99999999999999999999"], ["--comm-fd", ""], ["--comm-f="],
]  # fmt: skip


@pytest.fixture
def sanitized(weakened: Callable[..., Program]) -> Program:
    return weakened(*BUILD)


@pytest.mark.timeout(180)
def test_hostile_words_make_the_launcher_read_nothing_that_is_not_there(
    sanitized: Program, caller: User, mountpoint: Path
) -> None:
    """
    CVE-2021-4034: it walked past the end of an argv that the caller had emptied.
    """
    calls: list[dict[str, object]] = [
        {"argv0": ""},
        {"argv0": "n" * 100_000},
        {"argv0": "line\nline"},
        {"environment": {"_FUSE_COMMFD": ""}},
        {"environment": {"_FUSE_COMMFD": "9" * 100_000}},
        {"environment": {"_FUSE_REPORT": "", "FUSE_KERN_DEVICE": "/dev/null"}},
        {"preexec_fn": lambda: os.closerange(0, 3)},
        {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 4000))},
    ]
    results = [
        sanitized.start("-o", "bogus", "--", mountpoint, user=caller, **call).wait()  # type: ignore[arg-type]  # see the table
        for call in ({"environment": {}, **call} for call in calls)
    ]
    results += [sanitized.run(*words, user=caller) for words in (MANY, *COMM_FD, *QUESTIONS)]

    for result in results:
        assert result.exit_status in (0, 1)
        assert b"Sanitizer" not in result.stderr + result.stdout
        assert b"runtime error" not in result.stderr + result.stdout


def test_an_empty_argv_is_nothing_to_walk_along(sanitized: Program, caller: User) -> None:
    """
    Newer kernels put an empty word there; older ones do not.
    """
    child = os.fork()
    if child == 0:
        try:
            caller.become()
            nothing = (ctypes.c_char_p * 1)(None)
            os.closerange(0, 3)
            ctypes.CDLL(None).execve(sanitized.path.encode(), nothing, nothing)
        finally:
            os._exit(77)
    _, status = os.waitpid(child, 0)

    assert 1 == os.waitstatus_to_exitcode(status)


def test_a_guard_does_its_work_under_the_sanitizer(
    sanitized: Program, caller: User, mountpoint: Path
) -> None:
    """
    Floods of messages of every length, then the end of the server.
    """
    running = sanitized.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    running.receive_device().close()
    for length in (1, 63, 64, 65, 4096, 60_000):
        running.comm.send(b"x" * length)
    running.comm.close()

    assert 0 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)
