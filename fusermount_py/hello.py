"""
The smallest real FUSE server: one directory, two files, spoken to the kernel in plain Python.

    python3 -m fusermount_py.hello MOUNTPOINT [-f] [-o opts]

In the background the shell gets its prompt back when the file system answers, with status 0, or
with an error and status 1 when it does not. With -f it stays: for a terminal, or for systemd.
Messages are those of linux/fuse.h, protocol 7.31.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import stat
import struct
import sys
import threading

from fusermount_py import client, daemonize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

_IN_HEADER = struct.Struct("=IIQQIIIHH")  # length opcode unique nodeid uid gid pid extensions pad
_OUT_HEADER = struct.Struct("=IiQ")  # length error unique
_INIT_IN = struct.Struct("=IIII")  # major minor max_readahead flags
_INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")  # ... max_background threshold max_write time_gran ...
_ATTR = struct.Struct("=6Q10I")  # ino size blocks 3 times, 3 nanoseconds mode nlink uid gid ...
_ENTRY_OUT = struct.Struct("=4Q2I")  # nodeid generation entry_valid attr_valid, nanoseconds; attr
_ATTR_OUT = struct.Struct("=Q2I")  # attr_valid, nanoseconds, pad; attr
_OPEN_OUT = struct.Struct("=QII")  # file handle, flags, pad
_READ_IN = struct.Struct("=QQI")  # file handle offset size
_DIRENT = struct.Struct("=QQII")  # ino, offset of the next, name length, type; name, padded to 8
_STATFS_OUT = struct.Struct("=5Q4I24x")  # blocks free available files free bsize namelen frsize

_MAJOR, _MINOR = 7, 31
_ROOT = 1
_BLOCK = 4096
_VALID_SECONDS = 3600  # nothing here ever changes
_MAX_WRITE = 4096  # nobody writes; the kernel wants a page
_FILES = {
    2: (b"hello", b"Hello from a file system in plain Python.\n"),
    3: (b"handshake", b"device, workers, proceed, FUSE_INIT, mounted, status\n"),
}


class Hello:
    """Answers the kernel's requests until it says that the file system is unmounted."""

    def __init__(self, device: int) -> None:
        self._device = device
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: self._getattr,
            14: self._open,
            15: self._read,
            17: self._statfs,
            18: self._nothing,  # RELEASE
            25: self._nothing,  # FLUSH
            26: self._init,
            27: self._open,  # OPENDIR
            28: self._readdir,
            29: self._nothing,  # RELEASEDIR
            34: self._nothing,  # ACCESS: who may come in is the kernel's business
            38: self._nothing,  # DESTROY
        }
        self._silent = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET want no answer

    def serve(self, prepared: client.Prepared) -> None:
        """One worker: reports ready, then answers request after request."""
        try:
            prepared.worker_ready()
            while request := os.read(self._device, client.REQUEST_BYTES):
                self._handle(request)
        except OSError as error:
            # ENODEV: unmounted. A mount that was given up is proceed()'s to tell.
            if error.errno != errno.ENODEV and not isinstance(error, client.MountError):
                raise

    def _handle(self, request: bytes) -> None:
        _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
        if opcode in self._silent:
            return
        number, body = 0, b""
        try:
            if opcode not in self._answers:
                raise OSError(errno.ENOSYS, "no such request here")  # noqa: TRY301  # as answers do
            body = self._answers[opcode](node, request[_IN_HEADER.size :])
        except OSError as error:
            number = error.errno or errno.EIO
        header = _OUT_HEADER.pack(_OUT_HEADER.size + len(body), -number, unique)
        try:
            os.write(self._device, header + body)
        except FileNotFoundError:  # the asker was interrupted and the request is gone
            return
        if opcode == 26 and number == 0:
            daemonize.set_got_init()
            daemonize.success()

    def _init(self, _node: int, body: bytes) -> bytes:
        major, minor, readahead, _flags = _INIT_IN.unpack_from(body)
        if major < _MAJOR:
            raise OSError(errno.EPROTO, "a kernel from before 2007")
        return _INIT_OUT.pack(
            _MAJOR, min(minor, _MINOR), readahead, 0, 0, 0, _MAX_WRITE, 1, 0, 0, 0
        )

    def _lookup(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if node == _ROOT:
            for number, (filename, _) in _FILES.items():
                if filename == name:
                    entry = _ENTRY_OUT.pack(number, 0, _VALID_SECONDS, _VALID_SECONDS, 0, 0)
                    return entry + _attributes(number)
        raise OSError(errno.ENOENT, "no such file")

    def _getattr(self, node: int, _body: bytes) -> bytes:
        return _ATTR_OUT.pack(_VALID_SECONDS, 0, 0) + _attributes(node)

    def _open(self, node: int, body: bytes) -> bytes:
        (flags,) = struct.unpack_from("=I", body)
        if node != _ROOT and flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, "read-only")
        return _OPEN_OUT.pack(0, 0, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = _READ_IN.unpack_from(body)
        return _FILES[node][1][offset : offset + size]

    def _readdir(self, _node: int, body: bytes) -> bytes:
        _, offset, size = _READ_IN.unpack_from(body)
        names = [(_ROOT, b"."), (_ROOT, b".."), *((ino, name) for ino, (name, _) in _FILES.items())]
        listing = b""
        for following, (ino, name) in enumerate(names[offset:], offset + 1):
            kind = stat.S_IFDIR if ino == _ROOT else stat.S_IFREG
            record = _DIRENT.pack(ino, following, len(name), kind >> 12) + name
            record += bytes(-len(record) % 8)
            if len(listing) + len(record) > size:
                break
            listing += record
        return listing

    def _statfs(self, _node: int, _body: bytes) -> bytes:
        return _STATFS_OUT.pack(len(_FILES), 0, 0, len(_FILES), 0, _BLOCK, 255, _BLOCK, 0)

    def _nothing(self, _node: int, _body: bytes) -> bytes:
        return b""


def _attributes(node: int) -> bytes:
    size = 0 if node == _ROOT else len(_FILES[node][1])
    mode, links = (stat.S_IFDIR | 0o555, 2) if node == _ROOT else (stat.S_IFREG | 0o444, 1)
    owner = os.getuid(), os.getgid()
    return _ATTR.pack(
        node, size, -(-size // 512), 0, 0, 0, 0, 0, 0, mode, links, *owner, 0, _BLOCK, 0
    )


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server as a program; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="hello", description="A read-only FUSE file system of two files."
    )
    parser.add_argument("mountpoint", help="an empty directory of yours")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground")
    parser.add_argument("-o", dest="options", action="append", default=[], help="mount options")
    given = parser.parse_args(arguments)
    mountpoint = os.path.abspath(given.mountpoint)  # daemonize.start() leaves this directory
    options = ["fsname=hello", "subtype=hello", "ro", *given.options]

    stay = daemonize.NO_BACKGROUND | daemonize.NO_CHDIR | daemonize.NO_REDIRECT
    daemonize.start(stay if given.foreground else 0)
    signal.signal(signal.SIGTERM, _leave)
    try:
        with client.prepare(mountpoint, options) as prepared:
            worker = threading.Thread(
                target=Hello(prepared.device).serve, args=(prepared,), daemon=True
            )
            worker.start()
            mounted = prepared.proceed()
            daemonize.success()
        with mounted:
            mounted.wait()
    except client.MountError as error:
        daemonize.fail(1, f"hello: {error}")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
