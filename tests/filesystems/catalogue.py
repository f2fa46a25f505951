"""
File systems nobody here wrote: how to get each going, what it is called, how it ends.

    FileSystem.prepare(home) -> words of a command that serves `home/source`, say, in the background

All run as the caller. Debian's libfuse 3 calls /usr/bin/fusermount3, its libfuse 2 /bin/fusermount.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from support import leaks
from support.essential import essential_skip
from support.program import PATIENCE, Result
from support.users import User

HERE = Path(__file__).parent
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
Words = list[str | Path]


class FileSystem(NamedTuple):
    """Its name, the type of its mounts, and three of its habits."""

    name: str
    fstype: str
    prepare: Callable[[Path, Path], Words]  # home, mountpoint
    unmount: Callable[[Path, User], None]
    keeps: str | None = "source/note"  # where in `home` a new file "note" ends up; None: nowhere
    writes: bool = True


def run(words: Words, user: User, home: Path) -> Result:
    """Run a program of Debian's as `user`; it is over when nobody holds its stdout any more."""
    if shutil.which(words[0]) is None:
        essential_skip(f"needs {words[0]}: packaging/setup.sh test")
    finished = subprocess.run(
        words,
        user=user.uid,
        group=user.gid,
        extra_groups=user.groups,
        cwd=home,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    return Result(finished.returncode, finished.stdout, finished.stderr)


def run_well(words: Words, user: User, home: Path) -> None:
    """Run a program that has nothing to complain of."""
    result = run(words, user, home)
    assert (0, b"") == (result.exit_status, result.stderr), result


def _by_fusermount3(mountpoint: Path, user: User) -> None:
    run_well(["fusermount3", "-u", mountpoint], user, mountpoint.parent)


def _by_fusermount(mountpoint: Path, user: User) -> None:
    run_well(["fusermount", "-u", mountpoint], user, mountpoint.parent)


def _by_its_end(mountpoint: Path, user: User) -> None:
    """Its library calls fusermount3 when the server is told to end."""
    (server,) = leaks.children()
    os.kill(server, signal.SIGTERM)


def source(home: Path) -> Path:
    """A directory with one file, `greeting`."""
    folder = home / "source"
    folder.mkdir()
    (folder / "greeting").write_bytes(b"hello\n")
    return folder


def _sshfs(home: Path, mountpoint: Path) -> Words:
    """The server of ssh's file transfer, without ssh."""
    if not Path(SFTP_SERVER).exists():
        essential_skip(f"needs {SFTP_SERVER}: packaging/setup.sh test")
    instead_of_ssh = home / "ssh"
    instead_of_ssh.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n", encoding="ascii")
    instead_of_ssh.chmod(0o755)
    return ["sshfs", "-o", f"ssh_command={instead_of_ssh}", f"nowhere:{source(home)}", mountpoint]


def _bindfs(home: Path, mountpoint: Path) -> Words:
    return ["bindfs", "--no-allow-other", source(home), mountpoint]


def _squashfuse(home: Path, mountpoint: Path) -> Words:
    image = home / "image"
    subprocess.run(["mksquashfs", source(home), image, "-quiet", "-no-progress"], check=True)
    return ["squashfuse", image, mountpoint]


def _fuse_overlayfs(home: Path, mountpoint: Path) -> Words:
    lower, upper, work = source(home), home / "upper", home / "work"
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    return ["fuse-overlayfs", "-o", layers, mountpoint]


def _unionfs(home: Path, mountpoint: Path) -> Words:
    return ["unionfs-fuse", f"{source(home)}=RW", mountpoint]


def _archivemount(home: Path, mountpoint: Path) -> Words:
    archive = home / "archive.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(source(home), arcname=".")
    return ["archivemount", archive, mountpoint]


def _pyfuse3(home: Path, mountpoint: Path) -> Words:
    _library("pyfuse3")  # of Debian's python: not copied
    shutil.copy(HERE / "pyfuse3_server.py", home)
    return ["/usr/bin/python3", home / "pyfuse3_server.py", mountpoint]


def _mfusepy(home: Path, mountpoint: Path) -> Words:
    shutil.copy(_library("mfusepy"), home)
    shutil.copy(HERE / "mfusepy_server.py", home)
    return ["/usr/bin/python3", home / "mfusepy_server.py", source(home), mountpoint]


def _library(name: str) -> Path:
    """The file of a Python library."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        essential_skip(f"needs {name}: packaging/setup.sh test")
    return Path(found.origin)


SSHFS = FileSystem("sshfs", "fuse.sshfs", _sshfs, _by_fusermount3)
BINDFS = FileSystem("bindfs", "fuse", _bindfs, _by_fusermount)
FILE_SYSTEMS = [
    SSHFS,
    BINDFS,
    FileSystem(
        "squashfuse", "fuse.squashfuse", _squashfuse, _by_fusermount3, keeps=None, writes=False
    ),
    FileSystem("fuse-overlayfs", "fuse.fuse-overlayfs", _fuse_overlayfs, _by_its_end, "upper/note"),
    FileSystem("unionfs-fuse", "fuse.unionfs-fuse", _unionfs, _by_fusermount),
    FileSystem("archivemount", "fuse.archivemount", _archivemount, _by_fusermount, keeps=None),
    FileSystem("pyfuse3", "fuse.pyfuse3", _pyfuse3, _by_its_end, keeps=None),
    FileSystem("mfusepy", "fuse.mfusepy", _mfusepy, _by_its_end),
]
