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
SITE = f"{HOME}/site"
MOUNTPOINT = f"{HOME}/mnt"
USER = 61001  # nobody's: no such user needs to exist


def main() -> int:
    """Outside, prepare and run this program again in a private place; inside, show."""
    if sys.argv[1:2] == ["inside"]:
        return inside(sys.argv[2])
    private = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        private.append("--map-root-user")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            give_up(
                "this user may not open /dev/fuse (udev makes it 0666 on ordinary systems),"
                " so only root can run the demo here"
            )
    # In /tmp, since all of /run, where this checkout may be, is hidden from us later.
    with tempfile.TemporaryDirectory(dir="/tmp") as stage:
        install(stage)
        again = [sys.executable, "-I", "-B", f"{stage}{SITE}/demo", "inside", stage]
        return subprocess.run([*private, *again], check=False).returncode


def give_up(why: str) -> NoReturn:
    """One sentence, exit status 1."""
    sys.exit(f"demo: {why}")


def install(stage: str) -> None:
    """The helper as anyone would install it, and what the user is going to run."""
    where = [f"DESTDIR={stage}", f"PREFIX={PREFIX}", f"PYTHON={sys.executable}"]
    subprocess.run(["make", "-s", "-C", PACKAGING, "install", *where], check=True)
    shutil.copytree(f"{SOURCE}/fusermount_py", f"{stage}{SITE}/fusermount_py")
    shutil.copytree(DEMO, f"{stage}{SITE}/demo")


def inside(stage: str) -> int:
    """In namespaces of our own: put everything into place, then be the ordinary user."""
    in_user_namespace = os.stat("/").st_uid != 0  # root's files are nobody's there
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    subprocess.run(["cp", "-a", stage + HOME, HOME], check=True)
    subprocess.run(["chmod", "-R", "go=rX", HOME], check=True)  # whatever umask the clone had
    os.mkdir(MOUNTPOINT)
    os.chdir("/")
    sys.path[0] = SITE  # the stage is closed to the user
    if not in_user_namespace:
        os.mknod(f"{HOME}/fuse", stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(f"{HOME}/fuse", 0o666)
        mount("--bind", f"{HOME}/fuse", "/dev/fuse")
        os.chown(MOUNTPOINT, USER, USER)
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    # As the user, from where the user can read.
    from fusermount_py.admin.clock import Clock
    from fusermount_py.admin.show import show

    return show(f"{PREFIX}/bin/fusermount3", MOUNTPOINT, Clock())


def mount(*words: str) -> None:
    """Mount, in this namespace only."""
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    sys.exit(main())
