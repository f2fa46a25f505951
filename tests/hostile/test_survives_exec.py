"""
What survives exec into a setuid program, row by row of the table in SECURITY.md.

Each row is set as the caller, before exec; then root looks at the helper that waits for its proceed
byte, and the mount must end as ever.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from support import kernel
from support.mount_table import mounts_at
from support.program import Program
from support.users import User

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_TSC, PR_SET_SECUREBITS = 1, 22, 26, 28
PR_SET_TIMERSLACK, PR_TSC_SIGSEGV = 29, 2
PR_MCE_KILL, PR_SET_CHILD_SUBREAPER, PR_SET_THP_DISABLE, PR_SET_SPECULATION_CTRL = 33, 36, 41, 53
PR_SCHED_CORE, PR_SET_MDWE, PR_SET_PTRACER = 62, 65, 0x59616D61
PER_CLEARED = 0x0040000 | 0x0100000 | 0x0200000 | 0x0400000  # PER_CLEAR_ON_SETID
PER_KEPT = 0x0020000 | 0x1000000 | 0x2000000 | 0x4000000  # UNAME26, SHORT_INODE, ...
HOURS = 1 << 62  # nanoseconds
NUMBERS = {  # ioprio_set, ioprio_get, keyctl, set_mempolicy, personality, clone
    "x86_64": (251, 252, 250, 238, 135, 56),
    "aarch64": (30, 31, 219, 237, 92, 220),
}
IOPRIO_SET, IOPRIO_GET, KEYCTL, SET_MEMPOLICY, PERSONALITY, CLONE = NUMBERS[platform.machine()]
IOPRIO_IDLE = 3 << 13
CLONE_FS = 0x200


def system(number: int, *words: int | bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    result = int(libc.syscall(ctypes.c_long(number), *given))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, *words: int) -> None:
    padded = [ctypes.c_long(word) for word in (*words, 0, 0, 0, 0)[:4]]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *padded) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def prctl_of(option: int, *words: int) -> Callable[[], None]:
    return lambda: prctl(option, *words)


def show(name: str) -> Callable[[int], str]:
    return lambda pid: Path(f"/proc/{pid}/{name}").read_text(encoding="ascii").strip()


def status(name: str) -> Callable[[int], str]:
    return lambda pid: show("status")(pid).partition(f"\n{name}:")[2].split("\n")[0].strip()


def be_first_to_die() -> None:
    kernel.become_dumpable()  # as after an exec; else its files in /proc are root's
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def leave_a_child() -> None:
    if os.fork() == 0:
        os._exit(0)


def stand_nowhere() -> None:
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


class Row(NamedTuple):
    """`shown`, of the helper, is `expected`; by default there is nothing to be seen in /proc."""

    set: Callable[[], object]
    shown: Callable[[int], object] = lambda _pid: None
    expected: object = None


CPU = min(os.sched_getaffinity(0))
ROWS = {
    # reset by the launcher
    "timer slack": Row(prctl_of(PR_SET_TIMERSLACK, HOURS), show("timerslack_ns"), "50000"),
    "umask": Row(lambda: os.umask(0o777), status("Umask"), "0022"),
    "core limit": Row(
        lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2),
        lambda pid: show("limits")(pid).partition("Max core file size")[2].split()[:2],
        ["0", "0"],
    ),
    # reset by the kernel
    "personality": Row(
        lambda: system(PERSONALITY, PER_CLEARED | PER_KEPT), show("personality"), f"{PER_KEPT:08x}"
    ),
    "dumpable": Row(kernel.become_dumpable, lambda pid: os.stat(f"/proc/{pid}/environ").st_uid, 0),
    # stays
    "nice": Row(lambda: os.nice(19), lambda pid: os.getpriority(os.PRIO_PROCESS, pid), 19),
    "policy": Row(
        lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
        os.sched_getscheduler,
        os.SCHED_IDLE,
    ),
    "affinity": Row(lambda: os.sched_setaffinity(0, {CPU}), os.sched_getaffinity, {CPU}),
    "io priority": Row(
        lambda: system(IOPRIO_SET, 1, 0, IOPRIO_IDLE),
        lambda pid: system(IOPRIO_GET, 1, pid),
        IOPRIO_IDLE,
    ),
    "oom score": Row(be_first_to_die, show("oom_score_adj"), "1000"),
    "core scheduling": Row(prctl_of(PR_SCHED_CORE, 1)),
    "session keyring": Row(lambda: system(KEYCTL, 1, b"own")),
    "memory policy": Row(lambda: system(SET_MEMPOLICY, 2, b"\1" + bytes(15), 64)),
    "interval timers": Row(
        lambda: [signal.setitimer(each, 60) for each in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]
    ),
    "subreaper": Row(prctl_of(PR_SET_CHILD_SUBREAPER, 1)),
    "children": Row(leave_a_child),
    "no huge pages": Row(prctl_of(PR_SET_THP_DISABLE, 1), status("THP_enabled"), "0"),
    "no writable code": Row(prctl_of(PR_SET_MDWE, 1)),
    "no speculation": Row(prctl_of(PR_SET_SPECULATION_CTRL, 0, 4)),
    "early machine checks": Row(prctl_of(PR_MCE_KILL, 1, 1)),
    "anyone's tracing": Row(prctl_of(PR_SET_PTRACER, -1)),
    "session": Row(os.setsid, os.getsid, None),
    "directory": Row(stand_nowhere, lambda pid: os.readlink(f"/proc/{pid}/cwd")[-9:], "(deleted)"),
}
NOT_HERE = (errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.ENXIO, errno.ENOENT)


@pytest.mark.parametrize("name", ROWS)
def test_what_survives_keeps_no_mount_from_ending(
    ours: Program, caller: User, home: Path, mountpoint: Path, name: str
) -> None:
    """
    What is neither reset nor shown to be harmless is the caller's hand inside a privileged program.
    """
    row = ROWS[name]

    def try_it() -> None:
        os.chdir(home)
        row.set()

    try:
        caller.call(try_it)
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        pytest.skip(f"this kernel or processor has none: {error.strerror}")

    running = ours.start_sync_init(
        mountpoint, "fsname=demo", user=caller, cwd=home, preexec_fn=row.set
    )
    running.receive_device()
    pid = running.process.pid
    expected = pid if name == "session" else row.expected

    assert expected == row.shown(pid)
    running.proceed()
    assert 0 == running.read_status()
    assert (0, b"") == running.wait()[0:3:2]
    assert 1 == len(mounts_at(mountpoint))


def wait_to_be_killed() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def leave_a_signal_pending() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("set_", "number"),
    [(wait_to_be_killed, signal.SIGALRM), (leave_a_signal_pending, signal.SIGTERM)],
)
def test_a_signal_that_the_caller_arranged_is_a_kill_and_no_more(
    ours: Program, caller: User, mountpoint: Path, set_: Callable[[], None], number: signal.Signals
) -> None:
    """
    The caller may send any signal to its helper at any time; `alarm 5; exec fusermount3 ...` is an
    honest way to set it a limit.
    """
    running = ours.start_sync_init(mountpoint, user=caller, preexec_fn=set_)

    assert (-number, b"", b"") == running.wait()[:3]
    assert [] == mounts_at(mountpoint)


def test_the_end_of_its_parent_does_not_end_the_helper(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    The kernel clears PR_SET_PDEATHSIG; a guard with it would go before its server.
    """
    started = []

    def start() -> None:  # the parent is the thread that forks
        started.append(
            ours.start_sync_init(
                mountpoint, user=caller, preexec_fn=prctl_of(PR_SET_PDEATHSIG, signal.SIGKILL)
            )
        )

    parent = threading.Thread(target=start)
    parent.start()
    parent.join()
    (running,) = started
    running.receive_device()
    running.proceed()

    assert 0 == running.read_status()


def filter_calls() -> None:
    allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(allow)))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program))


@pytest.mark.parametrize(
    ("set_", "number"),
    [(prctl_of(PR_SET_SECUREBITS, 1), errno.EPERM), (filter_calls, errno.EACCES)],
    ids=["securebits", "seccomp"],
)
def test_what_the_kernel_gives_no_ordinary_user(
    caller: User, set_: Callable[[], None], number: int
) -> None:
    """
    A filter could answer setresuid with success; where there is one, setuid bits do not count.
    """
    with pytest.raises(OSError) as error:  # noqa: PT011  # the errno is looked at
        caller.call(set_)

    assert number == error.value.errno


def share_the_directory() -> None:
    child = system(CLONE, CLONE_FS | signal.SIGCHLD, 0, 0, 0, 0)
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@pytest.mark.parametrize(
    "set_",
    [
        kernel.set_no_new_privs,
        share_the_directory,
        lambda: kernel.unshare(kernel.CLONE_NEWUSER),
    ],
    ids=["no_new_privs", "shared directory and umask", "user namespace"],
)
def test_with_these_the_setuid_bit_does_not_count(
    ours: Program, caller: User, mountpoint: Path, set_: Callable[[], None]
) -> None:
    """
    Others could change its umask and directory, or its powers end where its filter begins.
    """
    result = ours.run("--", mountpoint, user=caller, preexec_fn=set_)

    assert (1, 1) == (result.exit_status, result.stderr.count(b"\n"))
    assert [] == mounts_at(mountpoint)
