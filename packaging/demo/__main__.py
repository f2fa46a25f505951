"""
An ordinary user mounts a file system through the helper, with sync-init, step by step.

    started by root      the setuid helper, a throw-away uid, a private mount namespace
    by anyone else       the same helper and namespace inside a user namespace of one's own

Nothing on the machine changes: all mounts, and /run, are private and end with this program.
Exit status 0 only if every step did what is printed.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from typing import NoReturn

DEMO = os.path.dirname(os.path.abspath(__file__))
PACKAGING = os.path.dirname(DEMO)
SOURCE = os.path.dirname(PACKAGING)
HOME = "/run/fusermount-py"  # on a tmpfs of our own
PREFIX = f"{HOME}/prefix"
MOUNTPOINT = f"{HOME}/mnt"
USER = 61001  # nobody's: no such user needs to exist


def main() -> int:
    """Outside, make the private place and run this program again in it; inside, show."""
    if sys.argv[1:2] == ["inside"]:
        return inside(*sys.argv[2:])
    again = [sys.executable, "-I", DEMO, "inside"]
    private = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() == 0:
        return subprocess.run([*private, *again], check=False).returncode
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        give_up(
            "this user may not open /dev/fuse (udev makes it 0666 on ordinary systems),"
            " so only root can run the demo here"
        )
    with tempfile.TemporaryDirectory() as stage:
        install(f"DESTDIR={stage}")
        private.append("--map-root-user")
        return subprocess.run([*private, *again, stage], check=False).returncode


def give_up(why: str) -> NoReturn:
    """One sentence, exit status 1."""
    sys.exit(f"demo: {why}")


def install(*where: str) -> None:
    """Install as anyone would, without the noise."""
    command = ["make", "-s", "-C", PACKAGING, "install", f"PREFIX={PREFIX}", *where]
    subprocess.run([*command, f"PYTHON={sys.executable}"], check=True)


def inside(stage: str | None = None) -> int:
    """In namespaces of our own: put everything into place, then be the ordinary user."""
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    os.makedirs(MOUNTPOINT)
    if stage is None:
        install()
        os.mknod(f"{HOME}/fuse", stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(f"{HOME}/fuse", 0o666)
        mount("--bind", f"{HOME}/fuse", "/dev/fuse")
        os.chown(MOUNTPOINT, USER, USER)
    else:
        os.mkdir(PREFIX)
        mount("--bind", stage + PREFIX, PREFIX)
    # The user may not be able to read the directory that this checkout lies in.
    shutil.copytree(f"{SOURCE}/fusermount_py", f"{HOME}/site/fusermount_py")
    sys.path.insert(0, f"{HOME}/site")
    os.chdir("/")
    if stage is None:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    from show import show  # not before the user's own import path is set

    return show(f"{PREFIX}/bin/fusermount3", MOUNTPOINT)


def mount(*words: str) -> None:
    """Mount, in this namespace only."""
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    sys.exit(main())
