"""
What mounting needs of a machine, a process and a helper: one function for one question.

Each returns what it found, in words, and what would help.
"""

import errno
import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from fusermount_py.admin import connections
from fusermount_py.client.errors import HelperNotFound
from fusermount_py.client.find_helper import find_helper
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
_SECONDS = 5.0
OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    name: str
    status: str
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


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
    if _attributes_of(DEVICE) & os.ST_NODEV:
        return "it lies on a file system mounted nodev: devices do not open there"
    return f"as root: chmod 0666 {DEVICE}, as udev does on ordinary systems"


def _attributes_of(path: str) -> int:
    try:
        return os.statvfs(path).f_flag
    except OSError:
        return 0


def helper() -> Iterator[Finding]:
    """Which one a FUSE library would start, and whether it can become root."""
    try:
        command = find_helper()
    except HelperNotFound as error:
        advice = "install it: make -C packaging install, or your distribution's package fuse3"
        yield Finding("helper", FAILED, str(error), advice)
        return
    path = command[0]
    if len(command) > 2:
        yield Finding("helper", OK, "none on PATH; this process may mount by itself")
        return
    yield Finding("helper", OK, f"{path}: {_version(path)}")
    status = os.stat(path)
    mode = f"{stat.filemode(status.st_mode)} uid {status.st_uid}"
    if status.st_mode & stat.S_ISUID and status.st_uid == 0:
        yield Finding("setuid bit", OK, mode)
    else:
        status_word = WARNING if os.geteuid() == 0 else FAILED
        yield Finding(
            "setuid bit", status_word, mode, f"as root: chown root {path} && chmod 4755 {path}"
        )
    if _attributes_of(path) & os.ST_NOSUID:
        remedy = "install the helper on a file system that is not mounted nosuid"
        found = f"{path} lies on one: its setuid bit does not count"
        yield Finding("nosuid file system", FAILED, found, remedy)
    else:
        yield Finding("nosuid file system", OK, f"{path} does not lie on one")


def _version(path: str) -> str:
    def output(option: str) -> str:
        result = subprocess.run(  # noqa: S603  # the helper that was found
            [path, option], capture_output=True, timeout=_SECONDS, check=False
        )
        return os.fsdecode(result.stdout).strip()

    try:
        version = output("--version").rpartition(" ")[2]
        handshake = "sync-init" if "sync-init" in output("--help") else "classic mounts only"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return f"version {version}, {handshake}"


def process() -> Iterator[Finding]:
    """What this process was denied, and would hand on to a helper."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    if status.get("NoNewPrivs") == "1":
        remedy = (
            "start this from a shell that has not set it: a sandbox or a unit's NoNewPrivileges="
        )
        yield Finding("no_new_privs", FAILED, "set: the setuid bit does not count here", remedy)
    else:
        yield Finding("no_new_privs", OK, "not set")
    if status.get("Seccomp", "0") != "0":
        remedy = (
            "if a mount fails with EPERM or ENOSYS, allow fsopen, fsconfig, fsmount, move_mount"
        )
        yield Finding("seccomp", WARNING, "a filter is active in this process", remedy)
    else:
        yield Finding("seccomp", OK, "no filter")
    yield user_namespace()
    yield security_module()


def user_namespace() -> Finding:
    """The first one maps every id to itself."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        fields = file.read().split()
    if fields == ["0", "0", "4294967295"]:
        return Finding("user namespace", OK, "the first one")
    found = "another one: a setuid root helper from outside does not get root here"
    if os.geteuid() == 0:
        return Finding("user namespace", OK, "another one, as its root: mounting needs no helper")
    return Finding(
        "user namespace", WARNING, found, "be root in it: unshare --user --map-root-user"
    )


def security_module() -> Finding:
    """The context of this process, which a helper may be confined from."""
    for path in ("/proc/self/attr/apparmor/current", "/proc/self/attr/current"):
        try:
            with open(path, "rb") as file:
                context = file.read().rstrip(b"\0\n").decode("utf-8", "replace")
        except OSError:
            continue
        if context == "unconfined" or "unconfined" in context:
            return Finding("AppArmor, SELinux", OK, context)
        if context:
            remedy = "if a mount fails with EACCES, look for DENIED in the kernel's log (dmesg)"
            return Finding("AppArmor, SELinux", WARNING, f"confined: {context}", remedy)
    return Finding("AppArmor, SELinux", OK, "neither confines this process")


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
