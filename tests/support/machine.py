"""
A private copy of the machine: mounts, /run, /dev/fuse and /etc of our own.

    /run                  tmpfs, so that nothing is written to the real one
    /run/scratch          tmpfs where setuid counts: mountpoints, the installed helper
    /run/scratch/prefix   `make install PREFIX=...`
    /run/scratch/site     fusermount_py and support, readable by ordinary users
    /dev/fuse             a node of mode 0666, as udev makes it on ordinary systems
    /etc                  a copy: fuse.conf is empty unless a test says otherwise; the users
                          have names, without which the C helper refuses them

All of it lives in a mount namespace and goes with the test run.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from support import kernel
from support.essential import essential_skip
from support.users import ANOTHER_USER, CALLER

SOURCE = Path(__file__).parents[2]
SCRATCH = Path("/run/scratch")
PREFIX = SCRATCH / "prefix"
SITE = SCRATCH / "site"
DEVICE = Path("/dev/fuse")
FUSE_CONF = Path("/etc/fuse.conf")
USERS = (CALLER, ANOTHER_USER)


def make_private() -> None:
    """From here on, this process sees and changes its own mounts only."""
    if os.geteuid() != 0:
        essential_skip("needs root: for a mount namespace, a setuid helper and a second user")
    if not DEVICE.exists():
        essential_skip("there is no /dev/fuse")
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.become_subreaper()
    os.umask(0o022)
    kernel.mount("tmpfs", "/run", "tmpfs", options="mode=0755")
    SCRATCH.mkdir()
    kernel.mount("tmpfs", SCRATCH, "tmpfs", options="mode=0755")
    _offer_device()
    _offer_etc()
    connections = Path("/sys/fs/fuse/connections")
    if not any(connections.iterdir()) and not os.path.ismount(connections):
        kernel.mount("fusectl", connections, "fusectl")
    for package in (SOURCE / "fusermount_py", SOURCE / "tests" / "support"):
        shutil.copytree(package, SITE / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "go=rX", SITE], check=True)


def _offer_device() -> None:
    node = SCRATCH / "fuse"
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 229))
    node.chmod(0o666)
    kernel.mount(node, DEVICE, flags=kernel.MS_BIND)


def _offer_etc() -> None:
    own = Path("/run/etc")
    subprocess.run(["cp", "-a", "/etc", own], check=True)
    kernel.mount(own, "/etc", flags=kernel.MS_BIND)
    with open("/etc/passwd", "a", encoding="utf-8") as names:
        names.writelines(f"test{user.uid}:x:{user.uid}:{user.gid}::/:/bin/sh\n" for user in USERS)
    if not os.path.lexists("/etc/mtab"):
        os.symlink("../proc/self/mounts", "/etc/mtab")
    write_fuse_conf("")


def write_fuse_conf(text: str | bytes | None, mode: int = 0o644) -> None:
    """Let /etc/fuse.conf hold `text`; None: there is no such file."""
    if text is None:
        FUSE_CONF.unlink()
        return
    FUSE_CONF.write_bytes(text if isinstance(text, bytes) else text.encode())
    FUSE_CONF.chmod(mode)


def install(prefix: Path = PREFIX) -> Path:
    """The installed helper, by the same `make install` that a distribution runs."""
    make("install", f"PREFIX={prefix}")
    return prefix / "bin" / "fusermount3"


def uninstall(prefix: Path) -> None:
    make("uninstall", f"PREFIX={prefix}")


def make(*words: str) -> None:
    """Run the packaging's make, in a bare environment."""
    command = ["make", "-s", "-C", str(SOURCE / "packaging"), *words]
    subprocess.run(command, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
