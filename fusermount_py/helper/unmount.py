"""
Flow: one unmount request: which mount, whose, take it.

    UnmountRequest -> Located -> the topmost mount, held -> Mount -> judged -> taken

The file system itself is never asked, so a dead or hung server stops nothing. What is judged is
what is taken: a lazy unmount goes by the held mount. A plain one cannot, because holding a mount
makes it busy; it goes by the last name in the held parent directory, where only the topmost mount
can be reached. A mountpoint cannot be renamed; whoever could do it from another mount namespace
could as well remove the directory there, which takes down what is mounted on it without our help.
"""

import posix

from fusermount_py.helper import permission
from fusermount_py.helper.errors import KernelError
from fusermount_py.helper.kernel import mount_table, mountpoint, privilege, syscalls
from fusermount_py.helper.kernel.constants import MNT_DETACH, UMOUNT_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.kernel.audit_trail import AuditTrail
    from fusermount_py.helper.kernel.mountpoint import Located
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.request import UnmountRequest
    from fusermount_py.helper.scribe import Scribe


def unmount(
    request: "UnmountRequest",
    caller: "Caller",
    helper: str,
    scribe: "Scribe | None",
    trail: "AuditTrail",
) -> None:
    """Unmount the topmost mount at the path, if it is the caller's to take."""
    located = mountpoint.locate(request.mountpoint)
    try:
        mount = mountpoint.hold(located)
        entry = mount_table.mount_of(mount)
    except OSError as error:
        if caller.is_root:
            raise _failed(located, error) from error
        mount, entry = -1, None
    if not caller.is_root:
        permission.check_owner(entry, located.path, caller)
    if entry is not None:
        trail.granted("unmount", located.path, entry.fstype)
    if scribe is not None:
        scribe.watch(entry)
    try:
        if request.lazy:
            take_held(mount)
        else:
            posix.close(mount)
            _take_named(located)
    except OSError as error:
        raise _failed(located, error, privilege.explain(error, helper)) from error


def take_held(mount: int) -> None:
    """Lazily unmount exactly the mount that this fd was opened through."""
    # PRIVILEGED: the caller may have moved or covered the path since it was judged; the magic link
    # leads to the mount that was judged, under whatever name.
    with privilege.raised():
        syscalls.umount2(f"/proc/self/fd/{mount}".encode(), MNT_DETACH)


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
