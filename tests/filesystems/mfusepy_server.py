"""
A directory shown again through mfusepy: libfuse 3 by way of ctypes.

Usage: mfusepy_server.py DIRECTORY MOUNTPOINT; returns when mounted, the server goes on in the
background.
"""

import os
import sys
from typing import Any

import mfusepy

ATTRIBUTES = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")


class Mirror(mfusepy.Operations):  # type: ignore[misc]  # mfusepy ships no types
    """Every path below the mountpoint is the same path below `root`."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self.root = root

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self.root + path)
        return {name: getattr(status, name) for name in ATTRIBUTES}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self.root + path)]

    def open(self, path: str, flags: int) -> int:
        return os.open(self.root + path, flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self.root + path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self.root + path, length)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


if __name__ == "__main__":
    mfusepy.FUSE(Mirror(sys.argv[1]), sys.argv[2], fsname="mirror", subtype="mfusepy")
