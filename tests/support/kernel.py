"""System calls that the standard library lacks, under their own names."""

import ctypes
import fcntl
import io
import os
from pathlib import Path

from support.users import PathLike

CAP_SYS_RESOURCE = 24
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
IN_OPEN = 0x20
FUSE_DEV_IOC_SYNC_INIT = 0xE503  # _IO(229, 3), linux/fuse.h
MNT_DETACH = 2
MS_NOSUID, MS_NODEV, MS_REMOUNT = 0x2, 0x4, 0x20
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x2000, 0x4000, 0x40000, 0x100000
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_DUMPABLE = 4
UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, name: str, path: PathLike = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", path)
    return result


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def setns(process: int, flags: int = CLONE_NEWNS) -> None:
    """Join a namespace of another process: its mount namespace, unless told otherwise."""
    descriptor = os.pidfd_open(process)
    _checked(_libc.setns(descriptor, flags), "setns")
    os.close(descriptor)


def mount(
    source: PathLike, target: PathLike, fstype: str = "", flags: int = 0, options: str = ""
) -> None:
    arguments = (os.fsencode(source), os.fsencode(target), fstype.encode())
    _checked(_libc.mount(*arguments, flags, options.encode()), "mount", target)


def umount(target: PathLike, flags: int = MNT_DETACH | UMOUNT_NOFOLLOW) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags), "umount2", target)


def watch_opens(path: PathLike) -> int:
    """A descriptor that can be read (it never blocks) once somebody has opened the file."""
    watch = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
    _checked(_libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN), "inotify_add_watch", path)
    return watch


def become_subreaper() -> None:
    """Orphans of our children become our children, so that none is lost from sight."""
    _checked(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def die_with_parent(number: int) -> None:
    """This signal, when the thread that forked us is gone."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")


def become_dumpable() -> None:
    """As after an exec: others of the same user may look into this process, in /proc."""
    _checked(_libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def may(capability: int) -> bool:
    """Whether this process has that part of root's powers; in a container some are missing."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> capability & 1)


def set_no_new_privs() -> None:
    """From here on, no exec gains anything: setuid bits do not count."""
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def arm_sync_init(device: io.FileIO) -> bool:
    """Ask for synchronous FUSE_INIT; False where the kernel has none (before 6.18)."""
    try:
        fcntl.ioctl(device, FUSE_DEV_IOC_SYNC_INIT)
    except OSError:
        return False
    return True
