"""
Kernel floor: util-linux's table of mount options that the kernel does not keep.

Read here; written only by util-linux's own mount and umount, which know its format and its lock.
"""

import posix
import select

from fusermount_py.helper.kernel.mount_table import read

PATH = "/run/mount/utab"
_PROGRAM_FOLDERS = ("/usr/bin", "/bin")
_QUIETLY = ("--fake", "--no-canonicalize", "--internal-only")  # the table alone, no mount helpers
_KILL = 9


def lines() -> list[bytes]:
    """The table's lines, in its order."""
    return [line for line in read(PATH).split(b"\n") if line]


def write(source: str, mountpoint: str, options: list[str], seconds: float) -> None:
    """Let mount(8) add a line. The type is not in it; a fixed one keeps mount(8) from guessing."""
    words = [*_QUIETLY, "--types", "fuse", "--options", ",".join(options)]
    _run("mount", [*words, "--", source, mountpoint], seconds)


def erase(mountpoint: str, seconds: float) -> None:
    """Let umount(8) take the last line of this mountpoint."""
    _run("umount", [*_QUIETLY, "--", mountpoint], seconds)


def _run(name: str, arguments: list[str], seconds: float) -> None:
    """Run it with an empty environment; after ``seconds`` it is killed."""
    for folder in _PROGRAM_FOLDERS:
        try:
            child = posix.posix_spawn(f"{folder}/{name}", [name, *arguments], {})
        except FileNotFoundError:
            continue
        poll = select.poll()
        poll.register(posix.pidfd_open(child), select.POLLIN)
        # Anybody may hold the table's lock, for ever: its file is readable by all.
        if not poll.poll(seconds * 1000):
            posix.kill(child, _KILL)
        posix.waitpid(child, 0)
        return
