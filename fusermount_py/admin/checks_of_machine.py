"""The doctor's questions about the machine: device, kernel and configuration."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from fusermount_py.admin import connections
from fusermount_py.admin.finding import FAILED, OK, WARNING, Finding, attributes_of
from fusermount_py.helper import fuse_conf
from fusermount_py.helper.kernel import mount_table, syscalls
from fusermount_py.helper.kernel.constants import (
    AT_EMPTY_PATH,
    FSOPEN_CLOEXEC,
    STATX_MNT_ID_UNIQUE,
)

DEVICE = "/dev/fuse"
FUSE_CONF = "/etc/fuse.conf"
_FUSE_DEV_IOC_SYNC_INIT = 0xE503  # linux/fuse.h: _IO(229, 3)


def module() -> Finding:
    """The kernel's own list of file systems."""
    with open("/proc/filesystems", encoding="ascii") as file:
        known = [line.split()[-1] for line in file]
    if "fuse" in known:
        return Finding("kernel module", OK, "fuse is there")
    return Finding("kernel module", FAILED, "this kernel has no fuse now", "as root: modprobe fuse")


def device() -> Finding:
    """Opened as a helper opens it, as this user; that makes no connection yet."""
    name = "device node"
    try:
        status = os.stat(DEVICE)
        what = f"{DEVICE} {stat.filemode(status.st_mode)} uid {status.st_uid} gid {status.st_gid}"
        if not stat.S_ISCHR(status.st_mode):
            return Finding(name, FAILED, f"{what} is no device", "as root: mknod it, c 10 229")
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return Finding(name, FAILED, f"{DEVICE}: {error.strerror}", _device_remedy(error.errno))
    return Finding(name, OK, f"{what} opens")


def _device_remedy(number: int | None) -> str:
    if number == errno.ENOENT:
        return "as root: modprobe fuse; in a container, pass the device in (--device /dev/fuse)"
    if number in (errno.ENODEV, errno.ENXIO):
        return "as root: modprobe fuse"
    if number == errno.EPERM:
        return "the device cgroup forbids it: allow c 10:229 rwm to this container or unit"
    if attributes_of(DEVICE) & os.ST_NODEV:
        return "it lies on a file system mounted nodev: devices do not open there"
    return f"as root: chmod 0666 {DEVICE}, as udev does on ordinary systems"


def kernel() -> Finding:
    """What this kernel has of what the helper can use; nothing of it is needed."""
    features = {
        "fsopen": _has_fsopen(),
        "SYNC_INIT": _has_sync_init(),
        "statmount and unique mount ids": _has_unique_ids(),
    }
    names = ", ".join(f"{'' if there else 'no '}{name}" for name, there in features.items())
    return Finding("kernel features", OK, f"Linux {os.uname().release}: {names}")


def _has_fsopen() -> bool:
    try:
        os.close(syscalls.fsopen(b"fuse", FSOPEN_CLOEXEC))
    except OSError as error:
        return error.errno != errno.ENOSYS  # EPERM: it is there, and not for us
    return True


def _has_sync_init() -> bool:
    try:
        with open(DEVICE, "r+b", buffering=0) as file:
            fcntl.ioctl(file, _FUSE_DEV_IOC_SYNC_INIT)
    except OSError:
        return False
    return True


def _has_unique_ids() -> bool:
    """Both came with Linux 6.8."""
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        return syscalls.statx_mount_id(root, AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE) is not None
    finally:
        os.close(root)


def configuration() -> Iterator[Finding]:
    """/etc/fuse.conf as the helper reads it, and whether there is room for one more mount."""
    try:
        config = fuse_conf.parse(mount_table.read(FUSE_CONF), FUSE_CONF)
    except FileNotFoundError:
        config = fuse_conf.Config(FUSE_CONF)
    except OSError as error:
        config = fuse_conf.Config(FUSE_CONF)
        config.warnings.append(f"failed to open {FUSE_CONF}: {error.strerror}")
    for warning in config.warnings:
        yield Finding("fuse.conf", WARNING, warning, f"correct {FUSE_CONF}")
    others = "allowed" if config.user_allow_other else "for root only"
    limit = config.mount_max if config.is_limited else "no limit"
    used = mount_table.count_fuse()
    found = f"allow_other {others}; {used} FUSE mounts, mount_max {limit}"
    if config.is_limited and used >= config.mount_max and os.getuid() != 0:
        remedy = f"unmount some, or raise mount_max in {FUSE_CONF}"
        yield Finding("fuse.conf", FAILED, found, remedy)
    else:
        yield Finding("fuse.conf", OK, found)


def control() -> Finding:
    """For aborting and for counting what waits."""
    if connections.are_shown() or mount_table.count_fuse() == 0:
        return Finding("fusectl", OK, connections.DIRECTORY)
    remedy = f"as root: {connections.HOW_TO_MOUNT}"
    return Finding(
        "fusectl", WARNING, "not mounted: hung servers cannot be told or aborted", remedy
    )
