"""
Policy: every yes or no, from data alone. The docstring of each is its reason.

The words are the field's: callers compare them (contract, section 11).
"""

import errno
import posix
from _stat import S_ISVTX

from fusermount_py.helper.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from fusermount_py.helper.fuse_conf import Config
    from fusermount_py.helper.kernel.mountpoint import Pinned
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.mount_entry import Mount

    Adopted = TypeVar("Adopted")

# linux/magic.h and the file systems' own headers; hiding a directory of one of these from its
# owner's processes hides nothing that another program trusts, as /proc would.
FILESYSTEM_TYPES = frozenset(
    {
        0x61756673,  # AUFS
        0x00000187,  # autofs
        0xCA451A4E,  # bcachefs
        0x9123683E,  # btrfs
        0x00C36400,  # ceph
        0xFF534D42,  # cifs
        0x0000F15F,  # ecryptfs
        0x2011BAB0,  # exfat
        0x0000EF53,  # ext2, ext3, ext4
        0xF2F52010,  # f2fs
        0x65735546,  # fuse
        0x01161970,  # gfs2
        0x47504653,  # gpfs
        0x0000482B,  # hfsplus
        0x000072B6,  # jffs2
        0x3153464A,  # jfs
        0x0BD00BD0,  # lustre
        0x00004D44,  # msdos
        0x0000564C,  # ncp
        0x00006969,  # nfs
        0x00003434,  # nilfs
        0x5346544E,  # ntfs
        0x7366746E,  # ntfs3
        0x5346414F,  # openafs
        0x794C7630,  # overlay
        0xAAD7AAEA,  # panfs
        0x52654973,  # reiserfs
        0xFE534D42,  # smb2
        0x73717368,  # squashfs
        0x01021994,  # tmpfs
        0x24051905,  # ubifs
        0x18031977,  # wekafs
        0x736675005346544E,  # ufsd
        0x58465342,  # xfs
        0x2FC12FC1,  # zfs
        0x858458F6,  # ramfs
    }
)


def check_comm(comm: "Adopted | None", descriptor: int | None) -> "Adopted":
    """Without a socket there is nobody to give the device to. Returns the socket that is there."""
    if descriptor is None:
        raise Refused("old style mounting not supported", "arguments", errno.EINVAL)
    if comm is None:
        raise Refused(
            f"file descriptor {descriptor} is not a connected Unix socket, can't send fuse fd",
            "arguments",
            errno.ENOTSOCK,
        )
    return comm


def check_mount_max(mounts: int, config: "Config") -> None:
    """A FUSE mount costs memory that no user is charged for. ``mounts`` has ours in it."""
    if config.is_limited and mounts > config.mount_max:
        raise Refused(
            f"too many FUSE filesystems mounted; mount_max=N can be set in {config.path}",
            "permission",
        )


def check_namespace(mountpoint: "Pinned", *, is_here: bool) -> None:
    """
    A held inode may lie in a mount of any namespace, or of none.

    Whoever owns that namespace takes nosuid and nodev off again, and mount_max does not count
    there.
    """
    if not is_here:
        raise Refused(
            f"mountpoint {mountpoint.path} is not in the mount namespace of its user", "mountpoint"
        )


def check_namespace_owner(*, is_ours: bool) -> None:
    """Whoever owns the namespace of a mount may take nosuid and nodev off it."""
    if not is_ours:
        raise Refused(
            "this mount namespace belongs to another user namespace than the program", "permission"
        )


def check_uncovered(mountpoint: "Pinned", uncovered: bool) -> None:
    """What root has mounted there meanwhile was not judged, and hides nothing of the caller's."""
    if not uncovered:
        raise Refused(
            f"something else was mounted on {mountpoint.path} meanwhile", "attach", errno.EBUSY
        )


def check_kind(mountpoint: "Pinned") -> None:
    """The kernel covers a directory with a directory, a file with a file, and nothing else."""
    if not (mountpoint.is_directory or mountpoint.is_regular):
        raise Refused(
            f"mountpoint {mountpoint.path} is not a directory or a regular file",
            "mountpoint",
            errno.ENOTDIR,
        )


def check_searchable(searchable: bool) -> None:
    """A directory that the caller cannot enter is not the caller's to cover."""
    if not searchable:
        reason = posix.strerror(errno.EACCES)
        raise Refused(f"failed to chdir to mountpoint: {reason}", "permission", errno.EACCES)


def check_sticky(mountpoint: "Pinned", caller: "Caller") -> None:
    """In a sticky directory only the owner may mount, else any user could cover /tmp."""
    if mountpoint.mode & S_ISVTX and mountpoint.uid != caller.uid:
        raise Refused(f"mountpoint {mountpoint.path} not owned by user", "permission")


def check_writable(mountpoint: "Pinned", writable: bool) -> None:
    """Who may change every name in a directory gains nothing by covering it."""
    if not writable:
        raise Refused(
            f"user has no write access to mountpoint {mountpoint.path}",
            "permission",
            errno.EACCES,
        )


def check_file_writable(mountpoint: "Pinned", number: int) -> None:
    """Who may change a file gains nothing by covering it. ``number``: open's errno, or 0."""
    if number:
        raise Refused(
            f"failed to open {mountpoint.path}: {posix.strerror(number)}", "permission", number
        )


def check_filesystem(filesystem_type: int) -> None:
    """In /proc, cgroups and their like, other programs trust what stands under a name."""
    if filesystem_type not in FILESYSTEM_TYPES:
        raise Refused(
            f"mounting over filesystem type {filesystem_type:#010x} is forbidden", "permission"
        )


def check_mounted(mount: "Mount | None", path: str) -> None:
    """A held inode lies in some mount; only the mount's root is what is mounted at the path."""
    if mount is None or mount.mountpoint != path or not mount.is_fuse:
        raise Refused(f"entry for {path} not found in /etc/mtab", "permission", errno.ENOENT)


def check_owner(mount: "Mount | None", path: str, caller: "Caller") -> None:
    """An ordinary caller takes down the caller's own FUSE mounts, and only from the top."""
    check_mounted(mount, path)
    if mount is None or mount.owner != caller.uid:
        raise Refused(f"entry for {path} not found in /etc/mtab", "permission", errno.ENOENT)
