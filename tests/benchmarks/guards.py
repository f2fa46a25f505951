"""
Waiting auto_unmount guards: what they hold in memory, and how soon many dead mounts are gone.

Each mount has a server process of its own, which answers FUSE_INIT, holds the device and the comm
socket, and does nothing else; killing all of them at once is the worst day of a guard.
"""

import io
import os
import resource
import signal
import socket
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import spawn
from benchmarks.spawn import Helper
from support.machine import SCRATCH
from support.mount_table import mounts_below
from support.users import CALLER

OPTIONS = ("-o", "auto_unmount")
PATIENCE = 120.0
WHOLE = Path("/proc")


class Guards(NamedTuple):
    """So many guards of one helper: kB of all, and seconds from the servers' death to the end."""

    number: int
    total_pss: int
    private_dirty: int
    seconds: float
    mounts_left: int


def measure(helper: Helper, count: int) -> Guards:
    """Start them, weigh them, kill their servers, and wait until no mount is left."""
    home = mountpoints(f"{count}-guards-{helper.name}", count)
    pairs = CALLER.call(start_served, helper, home, count, OPTIONS)
    guards = [guard for guard, _ in pairs]
    try:
        _wait_until_guards(guards)
        weights = [_weigh(guard) for guard in guards]
        assert count == len(mounts_below(home)), "a mount was gone before its server"
        seconds = _kill_and_wait([server for _, server in pairs], guards)
        left = len(mounts_below(home))
    finally:
        reap([pid for pair in pairs for pid in pair])
    pss, dirty = (sum(each[name] for each in weights) for name in ("Pss", "Private_Dirty"))
    return Guards(count, pss, dirty, seconds, left)


def mountpoints(name: str, count: int) -> Path:
    """A directory with so many of the ordinary user's, by their numbers."""
    home = SCRATCH / name
    home.mkdir()
    for number in range(count):
        path = home / str(number)
        path.mkdir()
        os.chown(path, CALLER.uid, CALLER.gid)
    return home


def start_served(
    helper: Helper, home: Path, count: int, options: tuple[str, ...] = ()
) -> list[tuple[int, int]]:
    """Pids of each mount's helper and server; both outlive this process and are root's to reap."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    pairs = []
    for number in range(count):
        mounted = spawn.mount_classic(helper, home / str(number), options)
        pairs.append((mounted.pid, _serve(mounted.device, mounted.comm)))
        mounted.let_go()
    return pairs


def _serve(device: io.FileIO, comm: socket.socket) -> int:
    """A server without files; of what it inherits it keeps these two."""
    pid = os.fork()
    if pid == 0:
        kept = {device.fileno(), comm.fileno()}
        for number in range(3, 64):
            if number not in kept:
                try:
                    os.close(number)
                except OSError:
                    continue
        spawn.answer_init(device)
        signal.pause()
        os._exit(0)
    return pid


def _wait_until_guards(pids: list[int]) -> None:
    """Until each has become what it stays: asleep in its last program."""
    deadline = time.monotonic() + PATIENCE
    for pid in pids:
        before = b""
        while (now := _state(pid)) != before or not now.startswith(b"S"):
            assert time.monotonic() < deadline, "a guard does not come to rest"
            before = now
            time.sleep(0.02)


def _state(pid: int) -> bytes:
    """Its state, and how much processor time it has had."""
    fields = (WHOLE / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()
    return fields[0] + b" " + b" ".join(fields[11:13])


def _weigh(pid: int) -> dict[str, int]:
    """Kilobytes by the names of smaps_rollup: "Pss" shares each page among its users."""
    lines = (WHOLE / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {
        name: int(words.split()[0]) for name, _, words in (line.partition(":") for line in lines)
    }


def _kill_and_wait(servers: list[int], guards: list[int]) -> float:
    """Seconds until each guard has done what it does, and ended."""
    begin = time.monotonic()
    for server in servers:
        os.kill(server, signal.SIGKILL)
    for guard in guards:
        os.waitid(os.P_PID, guard, os.WEXITED | os.WNOWAIT)
    return time.monotonic() - begin


def reap(pids: list[int]) -> None:
    """They are ours since their parent has gone (the machine made us the subreaper)."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
