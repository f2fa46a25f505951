"""
Will what was just installed work for ordinary users? Run as: PYTHON check_installed.py HELPER TREE

An install that went wrong looks like one that went right until the first user mounts something,
and then speaks of permissions. So this says at once, in words, what is in the way; exit status 1
if it is anything of the installation's own.
"""

import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from check_trusted import complaints_about_folder  # type: ignore[import-not-found]  # beside this

NOBODY = 65534  # an id that owns nothing


def complaints_about_helper(helper: str) -> list[str]:
    """Why the setuid bit would not count."""
    status = os.stat(helper)
    found = []
    if status.st_uid != 0:
        found.append(f"{helper} belongs to uid {status.st_uid}: setuid makes nobody root")
    if not status.st_mode & stat.S_ISUID:
        found.append(f"{helper} is not setuid (chmod 4755)")
    if not status.st_mode & stat.S_IXOTH:
        found.append(f"{helper} can be started by its owner and group only")
    if os.statvfs(helper).f_flag & os.ST_NOSUID:
        found.append(f"{helper} lies on a file system that is mounted nosuid")
    return found


def complaints_about_tree(tree: str) -> list[str]:
    """What the helper, which reads its modules as the caller, could not read, or others change."""
    found = []
    for folder, folders, files in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in (*folders, *files))):
            status = os.stat(path)
            needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
            if status.st_uid != 0:
                found.append(f"{path} belongs to uid {status.st_uid}, not to root")
            elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                found.append(f"{path} can be changed by others than root")
            elif status.st_mode & needed != needed:
                found.append(f"{path} cannot be read by ordinary users")
    return found


def complaints_of_a_user(helper: str) -> list[str]:
    """What an ordinary user hears who asks for nothing: whatever else is in the way."""
    try:
        result = subprocess.run(
            [helper], user=NOBODY, group=NOBODY, extra_groups=(), cwd="/",
            env={}, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as error:
        return [f"an ordinary user cannot start {helper}: {error.strerror}"]
    # Said by the helper itself, with everything loaded; a question would be answered before.
    if result.stderr == f"{helper}: missing mountpoint argument\n".encode():
        return []
    said = result.stderr.decode(errors="backslashreplace").strip() or f"status {result.returncode}"
    return [f"an ordinary user who starts {helper} gets: {said}"]


def remark_on_the_device() -> str | None:
    """The device is the system's and not the installation's; without it nobody mounts either."""
    try:
        mode = os.stat("/dev/fuse").st_mode
    except FileNotFoundError:
        return "there is no /dev/fuse (modprobe fuse)"
    if not mode & stat.S_IROTH or not mode & stat.S_IWOTH:
        return f"/dev/fuse has mode {stat.S_IMODE(mode):04o}, udev's is 0666"
    return None


def main(helper: str, tree: str) -> int:
    """Print what is in the way, or nothing."""
    found = complaints_about_helper(helper) + complaints_about_tree(tree)[:1]
    for folder in (os.path.dirname(helper), os.path.dirname(tree)):
        found += complaints_about_folder(folder)[:1]
    found = found or complaints_of_a_user(helper)
    for complaint in found:
        print(f"install: installed, but it will not work for ordinary users: {complaint}")
    if remark := remark_on_the_device():
        print(f"install: note: {remark}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
