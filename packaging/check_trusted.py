"""
May a setuid program rely on these paths?

    PYTHON -I -S check_trusted.py DESTDIR PYTHON PREFIX FUSE_CONF HELPER FOLDER...

The launcher executes PYTHON with root's rights still in hand, on modules from below PREFIX and from
PYTHON's own library. Whoever can change one of these files, or a directory on the way to it, is
root; and so is whoever can put something in the place of what root is about to make in a FOLDER.
Exit status 1 and one sentence if anyone but root can, or if ordinary users could not start the
interpreter at all.

With a DESTDIR the folders are the packager's, who need not be root: of these nobody else may have
one or write to it, and none may lead out of there.
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


def complaint_about(path: str, needed: int, *, has_all: bool = True) -> str | None:
    """
    The reason why `path` must not be trusted, or why others lack the `needed` bits.

    A sticky directory (/tmp) that `has_all` may be writable: what root owns there stays root's.
    Where something is yet to be made, anybody could be first.
    """
    status = os.lstat(path)
    if status.st_uid != 0:
        return f"{path} belongs to uid {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if writable and not (is_sticky and has_all):
        return f"{path} can be changed by others than root"
    if status.st_mode & needed != needed:
        return f"{path} is closed to ordinary users"
    return None


def complaints_about_folder(folder: str) -> list[str]:
    """All reasons against making something in `folder`, which may itself be made for it."""
    reached = walk_to(os.path.normpath(folder))
    last = os.path.realpath(reached[0])  # there it is made, wherever links have led
    if not os.path.isdir(last):
        return [f"{reached[0]} is no directory"]
    found = [complaint_about(path, stat.S_IXOTH) for path in reached]
    found.append(complaint_about(last, stat.S_IXOTH, has_all=False))
    return [complaint for complaint in found if complaint]


def complaints_about_stage(destdir: str, folder: str) -> list[str]:
    """The same of a packager's, whose own directories are trusted."""
    found = []
    root, path = os.path.realpath(destdir), os.path.realpath(destdir + folder)
    if os.path.commonpath((root, path)) != root:
        return [f"{destdir}{folder} leads out of {destdir}"]
    below = os.path.relpath(path, root).split("/")
    for depth in range(len(below) + 1):
        step = os.path.join(root, *below[:depth])
        if not os.path.lexists(step):
            break
        status = os.lstat(step)
        if status.st_uid not in (0, os.geteuid()):
            found.append(f"{step} belongs to uid {status.st_uid}")
        elif status.st_mode & stat.S_IWOTH:
            found.append(f"{step} can be changed by everybody")
    return found


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


def main(destdir: str, interpreter: str, prefix: str, *others: str) -> None:
    """Returns if there is nothing to complain about."""
    for path in (interpreter, prefix, *others):
        # They are written into C and Python strings and into shell commands.
        if not re.fullmatch(r"/[\w/.+-]*", path, re.ASCII):
            sys.exit(f"install: {path!r} is not a plain absolute path")
    for complaint in complaints(interpreter, prefix):
        sys.exit(f"install: {complaint}; refusing to run it with root's rights")
    _fuse_conf, _helper, *folders = others
    for folder in folders:
        found = (
            complaints_about_stage(destdir, folder) if destdir else complaints_about_folder(folder)
        )
        for complaint in found:
            sys.exit(f"install: {complaint}; refusing to install there")


if __name__ == "__main__":
    main(*sys.argv[1:])
