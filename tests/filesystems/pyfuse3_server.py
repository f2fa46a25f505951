"""
A file system of two files in memory on pyfuse3: its library mounts, and unmounts at the end.

Usage: pyfuse3_server.py MOUNTPOINT; returns when mounted, the server goes on in the background.
"""

import errno
import os
import signal
import stat
import sys

import pyfuse3
import trio

NAMES = {b"greeting": 2, b"note": 3}


class Memory(pyfuse3.Operations):  # type: ignore[misc]  # pyfuse3 ships no types
    """Node 1 is the root, the others are the files of `NAMES`."""

    def __init__(self) -> None:
        super().__init__()
        self.files = {2: bytearray(b"hello\n"), 3: bytearray()}

    async def getattr(self, node: int, _context: object = None) -> pyfuse3.EntryAttributes:
        attributes = pyfuse3.EntryAttributes()
        attributes.st_ino = node
        attributes.st_uid, attributes.st_gid = os.getuid(), os.getgid()
        attributes.st_mode = stat.S_IFREG | 0o644 if node in self.files else stat.S_IFDIR | 0o755
        attributes.st_size = len(self.files.get(node, b""))
        return attributes

    async def lookup(self, _parent: int, name: bytes, _context: object) -> pyfuse3.EntryAttributes:
        if name not in NAMES:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(NAMES[name])

    async def setattr(
        self, node: int, wanted: pyfuse3.EntryAttributes, fields: object, *_: object
    ) -> pyfuse3.EntryAttributes:
        if getattr(fields, "update_size", False):
            del self.files[node][wanted.st_size :]
        return await self.getattr(node)

    async def open(self, node: int, _flags: int, _context: object) -> pyfuse3.FileInfo:
        return pyfuse3.FileInfo(fh=node)

    async def read(self, node: int, offset: int, size: int) -> bytes:
        return bytes(self.files[node][offset : offset + size])

    async def write(self, node: int, offset: int, content: bytes) -> int:
        self.files[node][offset : offset + len(content)] = content
        return len(content)


async def serve() -> None:
    """Until unmounted, or told to end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_when_told)
        await pyfuse3.main()
        nursery.cancel_scope.cancel()


async def end_when_told() -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            pyfuse3.terminate()


if __name__ == "__main__":
    pyfuse3.init(Memory(), sys.argv[1], {"fsname=memory", "subtype=pyfuse3"})
    if os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    trio.run(serve)
    pyfuse3.close()
