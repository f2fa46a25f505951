"""
Flow: unmount a file system whose server has died (auto_unmount).

    Mounted or GuardRequest -> mount identity -> the guard waits, with no privilege
    comm socket closed -> the guard runs the helper: --unmount --lazy --quiet --dead-mount=IDENTITY
    still there, the caller's, and dead? -> exactly that mount is taken

The identity is the kernel's unique mount id, so a mount that was stacked, moved or made anew at
the path is another one, and stays.
"""

import _signal  # type: ignore[import-not-found]  # signal: 4 ms
import _thread
import errno
import posix
import time

from fusermount_py.helper import permission, unmount
from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import mount_identity, mountpoint, privilege
from fusermount_py.helper.kernel.patience import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from fusermount_py.helper.kernel.audit_trail import AuditTrail
    from fusermount_py.helper.kernel.comm import Comm
    from fusermount_py.helper.kernel.patience import Patience
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.request import GuardRequest, UnmountRequest
    from fusermount_py.helper.scribe import Scribe

# A dying server's fds close in ascending order: the comm socket often before the device, so the
# mount may still look alive for a moment (kernel.md, "The device").
_LOOKS_AFTER_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.3)
# A server that was killed answers by its end: a second late when hundreds die. A hung one never.
_ANSWER_SECONDS = 5.0
_DEAD = (errno.ENOTCONN, errno.ECONNABORTED)


class Guard:
    """How the waiting program is started, and what it starts in the end."""

    __slots__ = ("argv0", "helper", "program")

    def __init__(self, program: str, helper: str, argv0: str) -> None:
        self.program = program
        self.helper = helper
        self.argv0 = argv0


def guard_existing(
    request: "GuardRequest",
    comm: "Comm | None",
    caller: "Caller",
    guard: Guard,
    patience: "Patience",
) -> None:
    """``--auto-unmount``: guard the topmost mount at the path, if it is the caller's."""
    located = mountpoint.locate(request.mountpoint)
    comm = permission.check_comm(comm, request.comm_fd)
    try:
        mount = mountpoint.hold(located)
        entry = mount_identity.mount_of(mount)
    except OSError:
        mount, entry = -1, None
    permission.check_mounted(entry, located.path)
    if not caller.is_root:
        permission.check_owner(entry, located.path, caller)
    patience.end()
    become_guard(mount, located.path, comm, caller, guard)


def become_guard(mount: int, path: str, comm: "Comm", caller: "Caller", guard: Guard) -> "NoReturn":
    """
    Turn this process into the guard of one mount. Does not return; KernelError if it cannot.

    Before: CAP_SYS_ADMIN permitted. After: an unprivileged program of a few pages, as the caller.
    The capability goes before exec, so that not even a tampered guard would have it.
    """
    identity = mount_identity.identity(mount)
    privilege.give_up(caller)
    # mount.finish() blocked every signal, and what exec starts would inherit that.
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    words = [guard.program, guard.helper, guard.argv0, str(comm.descriptor), str(identity), path]
    try:
        posix.execve(guard.program, words, {})
    except OSError as error:
        if not caller.is_root:
            raise KernelError(
                f"failed to start {guard.program}: {error.strerror}", error.errno or 0, "mount"
            ) from error
    _wait_as_root(mount, path, comm, identity)


def _wait_as_root(mount: int, path: str, comm: "Comm", identity: int) -> "NoReturn":
    """Without a guard program (pip, in a user namespace) this process itself is the guard."""
    _close_all_but(comm.descriptor)
    posix.setsid()
    posix.chdir("/")
    null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    for standard in range(3):
        posix.dup2(null, standard)
    comm.wait_for_hangup()
    mount = mountpoint.hold(mountpoint.locate(path))
    if mount_identity.is_identity(mount, identity) and _is_dead(mount):
        unmount.take_held(mount)
    posix._exit(0)  # noqa: SLF001  # the name of the system call


def _close_all_but(kept: int) -> None:
    """As exec does for the guard: callers wait for their pipes, and a held device is never dead."""
    for name in posix.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor != kept:
            try:
                posix.close(descriptor)
            except OSError:
                continue  # the listing's own


def unmount_dead(
    request: "UnmountRequest",
    caller: "Caller",
    identity: int,
    scribe: "Scribe | None",
    trail: "AuditTrail",
) -> None:
    """What the guard asks for: take this one mount if it is still there, the caller's, and dead."""
    located = mountpoint.locate(request.mountpoint)
    try:
        mount = mountpoint.hold(located)
        if not mount_identity.is_identity(mount, identity):
            return  # unmounted, moved or covered before: all is as it should be
    except OSError:
        return
    entry = mount_identity.mount_of(mount)
    if not caller.is_root:
        permission.check_owner(entry, located.path, caller)
    if scribe is not None:
        scribe.watch(entry)
    if _is_dead(mount):
        if entry is not None:
            trail.granted("unmount", located.path, entry.fstype)
        unmount.take_held(mount)


def _is_dead(mount: int) -> bool:
    for pause in _LOOKS_AFTER_SECONDS:
        time.sleep(pause)
        answer = _ask(mount)
        if answer != 0:
            return answer in _DEAD
    return False


def _ask(mount: int) -> int | None:
    """The errno that the file system answers with, 0 if all is well, None if it is silent."""
    answers = []
    answered = _thread.allocate_lock()
    answered.acquire()

    def ask() -> None:
        try:
            posix.fstatvfs(mount)  # always sent to the server, never answered from a cache
            answers.append(0)
        except OSError as error:
            answers.append(error.errno or 0)
        answered.release()

    try:
        # A hung server blocks the one that asks for ever; the end of this process ends that.
        start_thread(ask)
    except RuntimeError:
        # The caller is at the process limit, and nobody else will come to take a dead mount, which
        # answers at once. A hung one is left when the alarm ends this process.
        _signal.alarm(int(_ANSWER_SECONDS))
        ask()
        _signal.alarm(0)
    return answers[0] if answered.acquire(timeout=_ANSWER_SECONDS) else None
