"""
Kernel floor: a FUSE mount whose names are too long for fsconfig, made where nobody sees it.

    create    a thread with a mount namespace of its own: mount(2) there, then a copy (open_tree)
              that is mounted nowhere and has a descriptor
    attach    the copy, moved onto the pinned inode, like what fsmount makes

What mount(2) made is never looked for by a name, and goes with its thread, whatever ends it.
"""

import _thread
import errno
import posix

from fusermount_py.helper.kernel import mount_call, syscalls
from fusermount_py.helper.kernel.constants import (
    AT_FDCWD,
    CLONE_NEWNS,
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_EMPTY_PATH,
    MS_PRIVATE,
    OPEN_TREE_CLOEXEC,
    OPEN_TREE_CLONE,
)
from fusermount_py.helper.kernel.mount_call import MountCall
from fusermount_py.helper.kernel.mountpoint import Pinned
from fusermount_py.helper.kernel.patience import start_thread

# There on every machine, of either type, in one file system that is mounted by itself.
_PROC, _DIRECTORY, _FILE = "/proc", "/proc", "/proc/self/status"


class DetachedMount:
    """The same methods as FsContext; each needs CAP_SYS_ADMIN in its thread."""

    __slots__ = ("_call", "_descriptor")

    is_public = False  # seen by others only once it is attached

    def __init__(self, call: MountCall) -> None:
        self._call = call
        self._descriptor = -1

    def create(self, pinned: Pinned) -> None:
        """Make the superblock, which sends FUSE_INIT, and a mount of it that has no place yet."""
        failures: list[BaseException] = []
        done = _thread.allocate_lock()
        done.acquire()

        def run() -> None:
            try:
                self._descriptor = self._copy_of_unseen_mount(
                    _DIRECTORY if pinned.is_directory else _FILE
                )
            except BaseException as error:  # noqa: BLE001  # a thread has nobody to raise it to
                failures.append(error)
            done.release()

        # A thread starts with the capabilities of the one that starts it, and with its namespace,
        # which it then leaves alone. Descriptors are the whole process's.
        try:
            start_thread(run)
        except RuntimeError as error:  # what Python makes of clone's EAGAIN
            raise OSError(errno.EAGAIN, posix.strerror(errno.EAGAIN)) from error
        done.acquire()
        if failures:
            raise failures[0]

    def _copy_of_unseen_mount(self, place: str) -> int:
        syscalls.unshare(CLONE_NEWNS)
        # Else it would appear wherever the machine's own /proc is shared.
        syscalls.mount(None, _PROC.encode(), None, MS_PRIVATE, None)
        self._call.mount_on(place)
        return syscalls.open_tree(AT_FDCWD, place.encode(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)

    def attach(self, pinned: Pinned) -> int:
        """The mount's fd; it is seen by others only here, with all its attributes."""
        syscalls.move_mount(
            self._descriptor, pinned.descriptor, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        )
        return self._descriptor

    failure = staticmethod(mount_call.failure)
