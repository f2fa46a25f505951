"""
Asking a mount whether it is dead, and taking it: aside, by a process that is given up when late.

The path may lead through another mount that hangs, and the question may hang itself. Only verbs
that act, and those told to, ask. What is judged is held by a descriptor, and taken by it: its path
may lead elsewhere a moment later, since its owner may exchange the directories that mounts are on.
"""

import errno
import os
from collections.abc import Callable

from fusermount_py.admin import apart
from fusermount_py.admin.same_mount import is_same
from fusermount_py.admin.states import ALIVE, DEAD, HUNG, UNKNOWN
from fusermount_py.helper.kernel import mount_identity, syscalls
from fusermount_py.helper.kernel.constants import MNT_DETACH
from fusermount_py.helper.mount_entry import MountEntry

NOT_ON_TOP = "covered"  # another mount is reached by its path
TAKEN = "taken"
_DEAD_ERRORS = (errno.ENOTCONN, errno.ECONNABORTED)
_REACH_SECONDS = 2.0  # the path to the mount may lead through another that hangs
_ANSWER_SECONDS = 0.5
_MOST_LEFT = 8  # processes that wait in vain for one user's mounts


def ask(entry: MountEntry) -> str:
    """A state, or NOT_ON_TOP; UNKNOWN if it cannot be reached to be asked."""
    return _or_unknown(entry, lambda mount: _state(mount, entry))


def take_dead(entry: MountEntry) -> str:
    """TAKEN, by root, if it is dead; else what ask() says."""

    def judge_and_take(mount: int) -> str:
        state = _state(mount, entry)
        return _detach(mount) if state == DEAD else state

    return _or_unknown(entry, judge_and_take)


def take(entry: MountEntry) -> str:
    """TAKEN, by root, whatever its state, or NOT_ON_TOP. OSError if it cannot be reached."""
    return _reach(entry, _detach)


def _or_unknown(entry: MountEntry, act: Callable[[int], str]) -> str:
    try:
        return _reach(entry, act)
    except OSError:
        return UNKNOWN


def _reach(entry: MountEntry, act: Callable[[int], str]) -> str:
    """What ``act`` returns, called aside with a descriptor of the very mount; NOT_ON_TOP."""
    # One that hangs is asked once, and a user who has many keeps only their own from being asked.
    account = (entry.owner, entry.id)
    if apart.left(lambda other: other == account) or (
        apart.left(lambda other: isinstance(other, tuple) and other[0] == entry.owner) >= _MOST_LEFT
    ):
        raise TimeoutError

    def reach() -> str:
        mount = os.open(entry.mountpoint, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        # Held, it keeps its number: so the table's line is this mount's.
        return act(mount) if is_same(entry, mount_identity.entry_of(mount)) else NOT_ON_TOP

    return apart.apart(reach, _REACH_SECONDS, account)


def _state(mount: int, entry: MountEntry) -> str:
    try:
        number = apart.apart(lambda: _statfs(mount, entry), _ANSWER_SECONDS)
    except OSError:
        return HUNG
    return DEAD if number in _DEAD_ERRORS else ALIVE


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


def _detach(mount: int) -> str:
    syscalls.umount2(f"/proc/self/fd/{mount}".encode(), MNT_DETACH)
    return TAKEN
