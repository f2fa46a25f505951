"""
Kernel floor: whose rights this process has, moment by moment. The only importer of _prctl.

    launcher          real caller, effective 0    every capability
    become_caller()   caller x3, gids too         permitted: CAP_SYS_ADMIN, effective: none
    seal()            where no guard follows      no exec gains anything (no_new_privs)
    raised()          around the mount calls      effective: CAP_SYS_ADMIN, this thread only
    give_up()         after the last of them      none, for good
    become_scribe()   a child, forked before all  uid 0 x3, not one capability

Called by root, the helper keeps root's rights; without the setuid bit it keeps what there is and
lets the kernel answer.
"""

import errno
import posix
from _stat import S_ISUID

from fusermount_py.helper.errors import KernelError

try:
    # python-prctl's C half. Its Python half makes some hundred properties anew in every process,
    # which is 1 ms of every mount, and clears capabilities one set after the other.
    import _prctl
except ImportError:  # a plain pip install: good enough where there is nothing to drop
    _prctl = None

_SYS_ADMIN = 21  # linux/capability.h: CAP_SYS_ADMIN
_CUTTING_LIMITS = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_STACK")


class Caller:
    """Who asked: the real ids. What may be done is decided from this value, never from getuid()."""

    __slots__ = ("gid", "uid")

    def __init__(self, uid: int, gid: int) -> None:
        self.uid = uid
        self.gid = gid

    @property
    def is_root(self) -> bool:
        return self.uid == 0


def become_caller() -> Caller:
    """
    Turn every id into the caller's; of root's powers only the permission to mount is kept.

    Before: real caller, effective and saved uid 0, every capability in force. After: nothing that
    the caller could not do, except that raised() can put CAP_SYS_ADMIN in force. The gids go
    first, because setting them takes the right that setting the uids gives away.
    """
    caller = Caller(posix.getuid(), posix.getgid())
    if caller.is_root:
        return caller
    setuid = posix.geteuid() != caller.uid
    if setuid and _prctl is None:
        raise _not_dropped("python-prctl is missing")
    if _prctl is not None:
        # Else the kernel would empty the permitted set when the last uid 0 goes.
        _prctl.prctl(_prctl.PR_SET_KEEPCAPS, 1)
    posix.setresgid(caller.gid, caller.gid, caller.gid)
    posix.setresuid(caller.uid, caller.uid, caller.uid)
    if _prctl is not None:
        _permit_only([_SYS_ADMIN])
        _prctl.prctl(_prctl.PR_SET_KEEPCAPS, 0)
        _verify_drop(caller)
    return caller


def leave_root() -> bool:
    """
    Where something failed before become_caller() was through. False: say nothing.

    The words are partly the caller's, and the descriptor for them may be a file of /proc that does
    what is written to it with the rights of whoever writes.
    """
    uid, gid = posix.getuid(), posix.getgid()
    try:
        if (posix.geteuid(), posix.getegid()) != (uid, gid):
            posix.setresgid(gid, gid, gid)
            posix.setresuid(uid, uid, uid)
    except OSError:
        return False
    return True


def _permit_only(permitted: list[int]) -> None:
    """Nothing effective, nothing inheritable, and of the permitted capabilities only these."""
    every = list(range(_prctl.CAP_LAST_CAP + 1))
    others = [capability for capability in every if capability not in permitted]
    # One capset for the three: first what each set gains, then what each loses, both in the order
    # effective, permitted, inheritable.
    _prctl.set_caps([], [], [], every, others, every)


def _verify_drop(caller: Caller) -> None:
    """A drop is read back from the kernel, and what was dropped is tried for."""
    ids = ((caller.uid,) * 3, (caller.gid,) * 3)
    if (posix.getresuid(), posix.getresgid()) != ids:
        raise _not_dropped("an id is not the caller's")
    status = _read(b"/proc/self/status")
    for name, allowed in ((b"CapPrm", 1 << _SYS_ADMIN), (b"CapEff", 0), (b"CapInh", 0)):
        # python-prctl clears the capabilities it was built for; a newer kernel may have more.
        if _status_number(status, name) & ~allowed:
            raise _not_dropped(f"{name.decode()} holds too much")
    try:
        posix.setuid(0)
    except PermissionError:
        return
    raise _not_dropped("root could be regained")


def _read(path: bytes) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, 1 << 16)
    finally:
        posix.close(descriptor)


def _status_number(status: bytes, name: bytes) -> int:
    return int(status.partition(b"\n" + name + b":")[2].split(None, 1)[0], 16)


def _not_dropped(why: str) -> KernelError:
    return KernelError(f"failed to drop privileges: {why}", errno.EPERM, "permission")


def seal() -> None:
    """
    From here on no exec gains anything: no setuid program's rights, no file's capabilities.

    Not for a process that becomes the guard, because the guard starts the setuid helper again.
    """
    if may_mount():
        _prctl.prctl(_prctl.PR_SET_NO_NEW_PRIVS, 1)


def may_mount() -> bool:
    """Whether raised() would have anything to raise."""
    return _prctl is not None and _holds(_prctl.CAP_PERMITTED)


def _holds(which: int) -> bool:
    """Whether CAP_SYS_ADMIN is in this one of the calling thread's sets."""
    wanted = [_SYS_ADMIN]
    return bool(_prctl.get_caps(wanted, wanted, wanted)[which][_SYS_ADMIN])


def explain(error: OSError, helper: str) -> str:
    """Why the kernel says EPERM, in brackets, if it is for want of the setuid bit; else ""."""
    if error.errno != errno.EPERM or may_mount():
        return ""
    if _prctl is not None and _prctl.prctl(_prctl.PR_GET_NO_NEW_PRIVS):
        return f" (no_new_privs is set: the setuid bit of {helper} does not count here)"
    try:
        nosuid = bool(posix.statvfs(helper).f_flag & posix.ST_NOSUID)
        setuid = bool(posix.stat(helper).st_mode & S_ISUID)
    except OSError:
        return " (this process has no right to mount)"
    if nosuid:
        return f" ({helper} lies on a file system mounted nosuid)"
    if not setuid:
        return f" ({helper} is not setuid root)"
    return f" ({helper} is setuid, but was not started through its setuid bit)"


class raised:  # noqa: N801  # read as a statement: with privilege.raised()
    """
    CAP_SYS_ADMIN in force for the calling thread, until the block is left.

    A thread has its own capability sets: what one thread raises, another that waits for the caller
    does not have. Where the capability is not permitted this does nothing, and the kernel answers.
    """

    __slots__ = ("_lower",)

    def __enter__(self) -> None:
        self._lower = may_mount() and not _holds(_prctl.CAP_EFFECTIVE)
        if self._lower:
            _prctl.set_caps([_SYS_ADMIN], [], [], [], [], [])

    def __exit__(self, *error: object) -> None:
        if self._lower:
            _prctl.set_caps([], [], [], [_SYS_ADMIN], [], [])


def give_up(caller: Caller) -> None:
    """
    Let go of CAP_SYS_ADMIN for good; what waits from here on can do nothing the caller cannot.

    Root keeps its rights: its guard has to start the helper as root again.
    """
    if _prctl is not None and not caller.is_root:
        _permit_only([])


def become_scribe() -> None:
    """
    Be uid 0, who owns util-linux's table, and nothing more: not one of root's capabilities.

    Before: real caller, effective and saved uid 0, every capability. After: no id is the caller's,
    who could send signals to us or to what we start, or trace it; so here alone hard limits may be
    raised, and none that the caller set cuts a file short. Nor does the caller's niceness keep the
    table locked. Then every capability goes, and NOROOT, locked, keeps exec from bringing them
    back.
    """
    import resource  # needed by nobody else

    for limit in _CUTTING_LIMITS:
        number = getattr(resource, limit)
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _be_scheduled_as_root()
    posix.setgroups([])
    posix.setresgid(0, 0, 0)
    posix.setresuid(0, 0, 0)
    if _prctl is not None:
        bits = _prctl.SECBIT_NOROOT | _prctl.SECBIT_NOROOT_LOCKED
        _prctl.prctl(_prctl.PR_SET_SECUREBITS, bits)
        _permit_only([])


def _be_scheduled_as_root() -> None:
    """Not the caller's idle policy or niceness: others wait for the lock that mount(8) takes."""
    try:
        posix.sched_setscheduler(0, posix.SCHED_OTHER, posix.sched_param(0))
        posix.setpriority(posix.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return  # root of a container may have no right to
