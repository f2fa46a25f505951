"""The doctor's questions about the helper, and about the process that would start it."""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator

from fusermount_py.admin.finding import FAILED, OK, WARNING, Finding, attributes_of
from fusermount_py.admin.which_helper import which_helper
from fusermount_py.client.errors import HelperNotFound

_SECONDS = 5.0


def helper() -> Iterator[Finding]:
    """Which one a FUSE library would start, and whether it can become root."""
    try:
        command = which_helper()
    except HelperNotFound as error:
        advice = "install it: make -C packaging install, or your distribution's package fuse3"
        if error.errno == errno.ETIMEDOUT:
            advice = "PATH leads through a mount that hangs (fusermount-py mounts --hung)"
        yield Finding("helper", FAILED, str(error), advice)
        return
    path = command[0]
    if len(command) > 2:
        yield Finding("helper", OK, "none on PATH; this process may mount by itself")
        return
    yield Finding("helper", OK, f"{path}: {_version(path)}")
    yield Finding("features", OK, _features(path))
    status = os.stat(path)
    mode = f"{stat.filemode(status.st_mode)} uid {status.st_uid}"
    if status.st_mode & stat.S_ISUID and status.st_uid == 0:
        yield Finding("setuid bit", OK, mode)
    else:
        status_word = WARNING if os.geteuid() == 0 else FAILED
        yield Finding(
            "setuid bit", status_word, mode, f"as root: chown root {path} && chmod 4755 {path}"
        )
    if attributes_of(path) & os.ST_NOSUID:
        remedy = "install the helper on a file system that is not mounted nosuid"
        found = f"{path} lies on one: its setuid bit does not count"
        yield Finding("nosuid file system", FAILED, found, remedy)
    else:
        yield Finding("nosuid file system", OK, f"{path} does not lie on one")


def _output(path: str, option: str) -> str:
    result = subprocess.run(  # noqa: S603  # the helper that was found
        [path, option], capture_output=True, timeout=_SECONDS, check=False
    )
    return os.fsdecode(result.stdout).strip()


def _features(path: str) -> str:
    """What libfuse 3.19 would hear, which asks only where --help has the word."""
    try:
        if " --features " not in _output(path, "--help"):
            return "not told by this helper: libfuse 3.19 mounts in the classic way"
        return _output(path, "--features=text") or "none: this kernel has no fsopen"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)


def _version(path: str) -> str:
    try:
        version = _output(path, "--version").rpartition(" ")[2]
        handshake = "sync-init" if "sync-init" in _output(path, "--help") else "classic mounts only"
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
