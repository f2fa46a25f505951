"""
A private copy of the machine: mounts, /run, /dev/fuse and /etc/fuse.conf of our own.

    /run                  tmpfs, so that nothing is written to the real one
    /run/scratch          tmpfs where setuid counts: mountpoints, the installed helper
    /run/scratch/prefix   `make install PREFIX=...`
    /run/scratch/site     fusermount_py and support, readable by ordinary users
    /dev/fuse             a node of mode 0666, as udev makes it on ordinary systems
    /etc/fuse.conf        writable, empty unless a test says otherwise
    /etc/passwd           knows the users: the C helper refuses a caller without a name

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
    _offer_fuse_conf()
    _offer_names()
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


def _offer_fuse_conf() -> None:
    own = SCRATCH / "fuse.conf"
    own.touch()
    if not FUSE_CONF.exists():
        upper, work = SCRATCH / "etc", SCRATCH / "etc-work"
        upper.mkdir()
        work.mkdir()
        layers = f"lowerdir=/etc,upperdir={upper},workdir={work}"
        kernel.mount("overlay", "/etc", "overlay", options=layers)
        FUSE_CONF.touch()
    kernel.mount(own, FUSE_CONF, flags=kernel.MS_BIND)


def _offer_names() -> None:
    own = SCRATCH / "passwd"
    lines = [f"test{user.uid}:x:{user.uid}:{user.gid}::/:/bin/sh\n" for user in USERS]
    own.write_text(Path("/etc/passwd").read_text(encoding="utf-8") + "".join(lines))
    kernel.mount(own, "/etc/passwd", flags=kernel.MS_BIND)


def write_fuse_conf(text: str | bytes | None, mode: int = 0o644) -> None:
    """Let /etc/fuse.conf hold `text`; None: there is no such file (nor anything in /etc)."""
    if text is None:
        kernel.mount("tmpfs", "/etc", "tmpfs")
        return
    FUSE_CONF.write_bytes(text if isinstance(text, bytes) else text.encode())
    FUSE_CONF.chmod(mode)


def restore_fuse_conf() -> None:
    if not FUSE_CONF.exists():
        kernel.umount("/etc")
    write_fuse_conf("")


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
