"""
May a setuid program rely on these paths? Run as: PYTHON -I -S check_trusted.py PYTHON PREFIX...

The launcher executes PYTHON with root's rights still in hand, on modules from PREFIX and from
PYTHON's own library. Whoever can change one of these files, or a directory on the way to it,
is root. Exit status 1 and one sentence if anyone but root can, or if ordinary users could not
start the interpreter at all.
"""

import os
import re
import stat
import sys


def walk_to(path: str) -> list[str]:
    """Every existing path that decides what `path` means: links, their targets, all parents."""
    steps = []
    while True:
        parent = os.path.dirname(path)
        if os.path.lexists(path):
            steps.append(path)
        if os.path.islink(path):
            steps += walk_to(os.path.normpath(os.path.join(parent, os.readlink(path))))
        if parent == path:
            return steps
        path = parent


def everything_below(directory: str) -> list[str]:
    """The modules of one import directory, their caches and packages."""
    return [
        os.path.join(folder, name)
        for folder, folders, files in os.walk(directory)
        for name in (*folders, *files)
    ]


def complaint_about(path: str, needed: int) -> str | None:
    """
    The reason why `path` must not be trusted, or why others lack the `needed` bits.

    A sticky directory (/tmp) may be writable: what root owns there stays root's.
    """
    status = os.lstat(path)
    if status.st_uid != 0:
        return f"{path} belongs to uid {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if writable and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return f"{path} can be changed by others than root"
    if status.st_mode & needed != needed:
        return f"{path} is closed to ordinary users"
    return None


def complaints(interpreter: str, prefix: str) -> list[str]:
    """All reasons against using `interpreter` on modules below `prefix`."""
    reached = [*walk_to(interpreter), *walk_to(prefix)]
    library = []
    for directory in filter(os.path.exists, sys.path):
        reached += walk_to(directory)
        library += everything_below(directory)
    found = [complaint_about(path, stat.S_IXOTH) for path in reached]
    found += [complaint_about(path, 0) for path in library]
    return [complaint for complaint in found if complaint]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        # They are written into C and Python strings and into shell commands.
        if not re.fullmatch(r"/[\w/.+-]*", path, re.ASCII):
            sys.exit(f"install: {path!r} is not a plain absolute path")
    for complaint in complaints(sys.argv[1], sys.argv[2])[:1]:
        sys.exit(f"install: {complaint}; refusing to run it with root's rights")
