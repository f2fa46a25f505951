"""What a test must not leave behind: processes, mounts, setuid files."""

import contextlib
import os
import signal
import stat
import time
from pathlib import Path

from support import kernel
from support.machine import PREFIX, SCRATCH
from support.mount_table import MountEntry, mounts, mounts_below

GRACE = 5.0  # seconds for a guard, say, to notice that its client is gone


def processes_left() -> list[str]:
    """Reap our children, adopted orphans included; kill and name those that do not end."""
    deadline = time.monotonic() + GRACE
    try:
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
    except ChildProcessError:
        return []
    left = []
    while pids := children():  # whose own children become ours when they die
        for pid in pids:
            left.append(f"process {pid}: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return left


def children() -> list[int]:
    """Our children, orphans of theirs included: those of a daemon's parent, say."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in pids.split()]


def take_mounts_below_scratch() -> None:
    """Every mount a test made where tests may, whatever stacks on what."""
    for entry in reversed(mounts_below(SCRATCH)):
        # Root cannot reach into a user's FUSE mount; what lies in there goes with it.
        with contextlib.suppress(PermissionError, FileNotFoundError):
            kernel.umount(entry.mountpoint)


def mounts_left(before: list[MountEntry]) -> list[str]:
    """Take and name the mounts that were made elsewhere."""
    known = {entry.mount_id for entry in before}
    strange = [entry for entry in mounts() if entry.mount_id not in known]
    for entry in reversed(strange):
        kernel.umount(entry.mountpoint)
    return [f"mount {entry}" for entry in strange]


def setuid_files_left() -> list[str]:
    """Setuid files below the scratch directory other than the installed helper."""
    left = []
    for folder, folders, files in os.walk(SCRATCH):
        if Path(folder) == SCRATCH and PREFIX.name in folders:
            folders.remove(PREFIX.name)
        paths = [os.path.join(folder, name) for name in files]
        left += [path for path in paths if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)]
    return [f"setuid file {path}" for path in left]
