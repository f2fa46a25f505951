"""
Asking a mount whether it is dead: aside, by a forked process that the kernel's own clock ends.

A wait for a FUSE server ends for a fatal signal, and SIGALRM is one where nobody catches it. So no
timer of ours has to run, and nothing is left behind. Only verbs that act, and those told to, ask.
"""

import errno
import os
import signal
from collections.abc import Callable

from fusermount_py.admin.states import ALIVE, DEAD, HUNG, UNKNOWN
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.mount_entry import MountEntry

NOT_ON_TOP = "covered"  # another mount is reached by its path
TAKEN = "taken"
_ANSWERS = (ALIVE, DEAD, HUNG, UNKNOWN, NOT_ON_TOP, TAKEN)
_DEAD_ERRORS = (errno.ENOTCONN, errno.ECONNABORTED)
_REACH_SECONDS = 2.0  # the path to the mount may lead through another that hangs
_ANSWER_SECONDS = 0.5
_FAILED = 255


def ask(entry: MountEntry, then: Callable[[int], str] | None = None) -> str:
    """
    A state, or NOT_ON_TOP; UNKNOWN if it cannot be reached to be asked.

    ``then`` is called aside with an fd on the mount, if it is dead; what it returns is the answer.
    """

    def reach() -> int:
        mount = os.open(entry.mountpoint, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if mount_table.mount_id(mount) != entry.id:
            return _ANSWERS.index(NOT_ON_TOP)
        number = _aside(_ANSWER_SECONDS, lambda: _statfs(mount, entry))
        state = HUNG if number is None else DEAD if number in _DEAD_ERRORS else ALIVE
        return _ANSWERS.index(then(mount) if then is not None and state == DEAD else state)

    index = _aside(_REACH_SECONDS, reach)
    return UNKNOWN if index is None else _ANSWERS[index]


def _statfs(mount: int, entry: MountEntry) -> int:
    if os.getuid() == 0:
        _become_owner(entry)  # FUSE answers nobody else, not even root
    try:
        os.fstatvfs(mount)  # always sent to the server, never answered from a cache
    except OSError as error:
        return error.errno or 0
    return 0


def _become_owner(entry: MountEntry) -> None:
    options = dict(option.partition("=")[::2] for option in entry.options.split(","))
    uid, gid = int(options.get("user_id", 0)), int(options.get("group_id", 0))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _aside(seconds: float, question: Callable[[], int]) -> int | None:
    """The answer, from 0 to 254; None if it took too long or failed."""
    child = os.fork()
    if child == 0:
        answer = _FAILED
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer = question()
        finally:
            os._exit(answer)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if 0 <= code < _FAILED else None
