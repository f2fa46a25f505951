"""
Mount a server that is a program of its own, with synchronous INIT where kernel and helper have it.

    python3 -m fusermount_py.client MOUNTPOINT [-o opts] -- COMMAND...

In COMMAND {device} becomes /dev/fd/N, which libfuse 3.3 and later take for a mountpoint. COMMAND
stays in the foreground and serves until the file system is unmounted; its exit status is ours. If
it ends earlier, the file system is unmounted, and a line on stderr says so. Without a mount: one
line on stderr, and exit status 1 unless COMMAND had another.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading

from fusermount_py import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_PLACE = "{device}"
_FAREWELL_SECONDS = 5.0  # for a server that has read ENODEV


def main(words: Sequence[str] | None = None) -> int:
    """Run as a program; returns the exit status."""
    given = sys.argv[1:] if words is None else list(words)
    parser = argparse.ArgumentParser(
        prog="python3 -m fusermount_py.client",
        usage="%(prog)s MOUNTPOINT [-o opts] -- COMMAND... {device} ...",
        description="Mount a FUSE file system that COMMAND serves on /dev/fd/N.",
    )
    parser.add_argument("mountpoint")
    parser.add_argument("-o", dest="options", action="append", default=[], help="mount options")
    end = given.index("--") if "--" in given else len(given)
    arguments, command = parser.parse_args(given[:end]), given[end + 1 :]
    if not any(_PLACE in word for word in command):
        parser.error(f"COMMAND is missing, or does not say where its {_PLACE} goes")
    signal.signal(signal.SIGTERM, _interrupt)
    server = Server(command)
    try:
        _mount(arguments.mountpoint, arguments.options, server)
    except client.MountError as error:
        sys.stderr.write(f"fusermount_py.client: {error}\n")
        return server.see_off() or 1
    except KeyboardInterrupt:
        server.see_off()
        return 128 + signal.SIGINT
    return server.see_off()


class Server:
    """The program, started when the device can be read; its end is the end of the mount."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, prepared: client.Prepared) -> None:
        """Serve, as the one worker of this mount."""
        device = prepared.device
        command = [word.replace(_PLACE, f"/dev/fd/{device}") for word in self._command]
        try:
            prepared.worker_ready()
            self._process = subprocess.Popen(command, pass_fds=(device,))  # noqa: S603  # typed so
        except OSError as error:
            prepared.worker_failed(error)
            return
        status = self._process.wait()
        prepared.worker_failed(f"{command[0]} ended with status {status}")

    def see_off(self) -> int:
        """Wait for its end, and tell its exit status as a shell does."""
        if self._process is None:
            return 1
        try:
            status = self._process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        return status if status >= 0 else 128 - status


def _mount(mountpoint: str, options: Sequence[str], server: Server) -> None:
    with client.prepare(mountpoint, options) as prepared:
        threading.Thread(target=server.run, args=(prepared,), daemon=True).start()
        mounted = prepared.proceed()
    with mounted:
        mounted.wait()
    if mounted.failure is not None:
        raise mounted.failure


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
