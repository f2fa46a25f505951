"""
Flow: one unmount request: which mount, whose, take it.

    UnmountRequest -> Located -> the topmost mount, held -> Mount -> judged -> taken

The file system itself is never asked, so a dead or hung server stops nothing. What is judged is
what is taken: a lazy unmount goes by the held mount. A plain one cannot, because holding a mount
makes it busy; it goes by the last name in the held parent directory, where that name can lead to
nothing of another owner's (stable_name.py) and its look-up waits for no server. Everywhere else a
plain unmount goes by the held mount, too, and only mounts inside it are found busy.
"""

import errno
import posix
import time

from fusermount_py.helper import permission
from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import (
    mount_identity,
    mount_table,
    mountpoint,
    privilege,
    syscalls,
)
from fusermount_py.helper.kernel.constants import MNT_DETACH, UMOUNT_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.kernel.audit_trail import AuditTrail
    from fusermount_py.helper.kernel.mountpoint import Located
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.mount_entry import Mount
    from fusermount_py.helper.request import UnmountRequest
    from fusermount_py.helper.scribe import Scribe

# Another unmount of the same mount, or a guard that looks at it, holds it for a moment.
_PAUSES = (0.0, 0.01, 0.02, 0.03, 0.04)
_LOOK_AGAIN = (errno.EBUSY, errno.EINVAL)


def unmount(
    request: "UnmountRequest",
    caller: "Caller",
    helper: str,
    scribe: "Scribe | None",
    trail: "AuditTrail",
) -> None:
    """Unmount the topmost mount at the path, if it is the caller's to take."""
    located = mountpoint.locate(request.mountpoint)
    posix.chdir("/")  # else the caller's own directory, which is ours, could keep it busy
    mount, entry = _look(located, caller)
    if entry is not None:
        trail.granted("unmount", located.path, entry.fstype)
    if scribe is not None:
        scribe.watch(entry)
    for pause in _PAUSES:
        if pause:
            time.sleep(pause)
            mount, entry = _look(located, caller)
        try:
            if request.lazy:
                take_held(mount)
            else:
                _take_unless_busy(located, mount, entry)
        except OSError as error:
            if error.errno in _LOOK_AGAIN and pause != _PAUSES[-1]:
                continue
            raise _failed(located, error, privilege.explain(error, helper)) from error
        return


def _look(located: "Located", caller: "Caller") -> "tuple[int, Mount | None]":
    """The topmost mount there, held and judged; None if nobody knows it and root does not mind."""
    try:
        mount = mountpoint.hold(located)
        entry = mount_identity.mount_of(mount)
    except OSError as error:
        if caller.is_root:
            raise _failed(located, error) from error
        mount, entry = -1, None
    if not caller.is_root:
        permission.check_owner(entry, located.path, caller)
    return mount, entry


def take_held(mount: int) -> None:
    """Lazily unmount exactly the mount that this fd was opened through."""
    # PRIVILEGED: the caller may have moved or covered the path since it was judged; the magic link
    # leads to the mount that was judged, under whatever name.
    with privilege.raised():
        syscalls.umount2(f"/proc/self/fd/{mount}".encode(), MNT_DETACH)


def _take_unless_busy(located: "Located", mount: int, entry: "Mount | None") -> None:
    if entry is None or _leads_nowhere_else(located, entry):
        posix.close(mount)
        _take_named(located)
    # Where nothing is mounted, this is the file system around it, and the kernel says so to root.
    elif entry.mountpoint == located.path and mount_table.has_mounts_on(entry.id):
        raise OSError(errno.EBUSY, posix.strerror(errno.EBUSY))
    else:
        take_held(mount)


def _leads_nowhere_else(located: "Located", entry: "Mount") -> bool:
    """Whether nothing but this mount, or another of its owner's, can come to have the name."""
    from fusermount_py.helper import stable_name  # a lazy unmount need not pay for it

    directory = mount_identity.mount_of(located.directory)
    if directory is None or directory.fstype not in stable_name.LOCAL_TYPES:
        return False
    if entry.parent == directory.id and mountpoint.names_are_safe(located.directory, 0):
        return True
    if not mountpoint.names_are_safe(located.directory, entry.owner or 0):
        return False  # others may put there what is not in the table yet
    neighbours = stable_name.neighbours(mount_table.lines(), entry, directory.id)
    if neighbours is None:
        return False
    places = {(other.mountpoint.rpartition("/")[0], owner) for other, owner in neighbours}
    return all(
        mountpoint.is_out_of_reach(folder, owner, directory.id, stable_name.LOCAL_TYPES)
        for folder, owner in places
    )


def _take_named(located: "Located") -> None:
    """Unmount what is on top at the last name of the held directory, unless it is in use."""
    target = f"/proc/self/fd/{located.directory}/{located.name}"
    # PRIVILEGED: the caller may have swapped a parent for a symlink to another's mount; the held
    # directory is still the one that was judged, and a symlink in the last place is not followed.
    with privilege.raised():
        syscalls.umount2(target.encode("utf-8", "surrogateescape"), UMOUNT_NOFOLLOW)


def _failed(located: "Located", error: OSError, reason: str = "") -> KernelError:
    return KernelError(
        f"failed to unmount {located.path}: {error.strerror}{reason}", error.errno or 0, "mount"
    )
