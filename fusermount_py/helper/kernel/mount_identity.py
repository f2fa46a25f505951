"""
Kernel floor: which mount is it, and is it one of ours to speak of. The one room that says so.

    an open file, O_PATH included -> mount_of()     -> Mount, or None: none of this namespace
                                  -> identity()     -> a number, for whoever looks again later
                                  -> is_identity()  -> whether it is that mount

What each answer is worth:

    a held descriptor   exact while it is held, under whatever name. What it is, never where: its
                        mount may be of another namespace, or of none, until mount_of() has said
    a unique id         exact for good, never given out twice; Linux 6.8, and for a FUSE mount only
                        if it answers this caller
    an id of mountinfo  exact while a descriptor of the mount is held; given anew once it is gone,
                        so that whoever comes back with one (the guard, where there is no unique
                        id) must judge the mount anew: the worst is another dead one of the caller's
    a path              where to look and what to tell people. It identifies nothing
"""

import errno
import fcntl
import posix

from fusermount_py.helper.kernel import mount_table, syscalls
from fusermount_py.helper.kernel.constants import (
    AT_EMPTY_PATH,
    AT_STATX_DONT_SYNC,
    NS_GET_USERNS,
    STATX_MNT_ID_UNIQUE,
)
from fusermount_py.helper.mount_entry import STATMOUNT_MASK, Mount, MountEntry, parse_statmount

_FIRST_UNIQUE_ID = 1 << 31  # fs/namespace.c: told apart from mountinfo ids by its size


def mount_of(descriptor: int) -> Mount | None:
    """
    The mount that this file was opened through; None if it is not in this process's namespace.

    Asked by its unique id it costs the same however many mounts there are (Linux 6.11).
    """
    try:
        unique = _unique_id(descriptor)
        if unique is not None:
            return parse_statmount(syscalls.statmount(unique, STATMOUNT_MASK))
    except (OSError, ValueError):
        pass  # an older kernel, an answer too long, or no mount that can be seen from here
    return entry_of(descriptor)


def entry_of(descriptor: int) -> MountEntry | None:
    """As mount_of(), by its line in mountinfo, which tells more and is among all the others."""
    return mount_table.entry_with_id(mount_table.mount_id(descriptor))


def mount_with_unique_id(unique: int) -> Mount | None:
    """
    The mount that has this unique id in this process's namespace; None: it is not here.

    OSError, ValueError: this kernel cannot tell.
    """
    try:
        return parse_statmount(syscalls.statmount(unique, STATMOUNT_MASK))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EPERM):  # EPERM: another namespace's, Linux 7.0
            return None
        raise


def is_here(descriptor: int) -> bool:
    """
    Whether the mount that this file was opened through is one of this process's namespace.

    mountinfo does not list the mount of a chroot's own root directory, which lies in it all the
    same: no ordinary user chooses the root directory of a setuid program.
    """
    if mount_of(descriptor) is not None:
        return True
    root = posix.open("/", posix.O_PATH | posix.O_CLOEXEC)
    try:
        return mount_table.mount_id(root) == mount_table.mount_id(descriptor)
    finally:
        posix.close(root)


def lies_on(mount: int, below: int) -> bool:
    """Whether the first file's mount is mounted on the second file's, both held, and is here."""
    mounted = mount_of(mount)
    return mounted is not None and mounted.parent == mount_table.mount_id(below)


def owner_namespace_is_ours() -> bool:
    """
    Whether our mount namespace belongs to our user namespace, or to one above it.

    Above, the kernel itself lets us mount nothing. Below, whoever owns it may take nosuid and
    nodev off what we mount.
    """
    namespace = posix.open("/proc/self/ns/mnt", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        owner = fcntl.ioctl(namespace, NS_GET_USERNS)
    except PermissionError:
        return True  # it is not below ours
    finally:
        posix.close(namespace)
    try:
        theirs, ours = posix.stat(owner), posix.stat("/proc/self/ns/user")
    finally:
        posix.close(owner)
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def identity(descriptor: int) -> int:
    """The mount's unique id, or its id of mountinfo where there is none."""
    unique = _unique_id(descriptor)
    return mount_table.mount_id(descriptor) if unique is None else unique


def is_identity(descriptor: int, wanted: int) -> bool:
    """Whether this is the mount that identity() gave this number for."""
    if wanted < _FIRST_UNIQUE_ID:
        return mount_table.mount_id(descriptor) == wanted
    return _unique_id(descriptor) == wanted


def _unique_id(descriptor: int) -> int | None:
    """Not asked of the file system: a dead or hung one is told as well."""
    try:
        return syscalls.statx_mount_id(
            descriptor, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE
        )
    except OSError:
        return None
