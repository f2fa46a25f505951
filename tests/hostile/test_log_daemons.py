"""
What may stand at /dev/log, and do with what it is sent: flooded, slow, dead, or something else.

Nothing of it fails a mount or slows it down. The price is known: a line that cannot be had at once
is lost, so a user who keeps the daemon's queue full leaves no line of a mount (SECURITY.md).
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.program import Program, Result
from support.users import User

LOG = Path("/dev/log")
DEVICES = ("null", "zero", "full", "urandom", "fuse")
LIMIT = 5.0  # seconds for a mount and an unmount: what hangs takes for ever


@pytest.fixture
def own_dev(nothing_left: None) -> Iterator[None]:
    """A /dev with room for a /dev/log of the test's."""
    place = machine.SCRATCH / "dev"
    place.mkdir()
    for name in DEVICES:
        (place / name).touch()
        kernel.mount(f"/dev/{name}", place / name, flags=kernel.MS_BIND)
    kernel.mount(place, "/dev", flags=kernel.MS_BIND | kernel.MS_REC)
    yield
    kernel.umount("/dev")
    for name in DEVICES:
        kernel.umount(place / name)
        (place / name).unlink()
    (place / "log").unlink(missing_ok=True)
    place.rmdir()


def daemon(kind: socket.SocketKind) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.bind(str(LOG))
    LOG.chmod(0o666)
    return bound


def fill(log: Path = LOG) -> int:
    """What a flood by `logger` comes to; how many lines the queue took."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
        flood.setblocking(False)
        taken = 0
        try:
            while True:
                flood.sendto(b"<85>flood", str(log))
                taken += 1
        except BlockingIOError:
            return taken


def flooded() -> list[socket.socket]:
    log = daemon(socket.SOCK_DGRAM)
    fill()
    return [log]


def dead() -> list[socket.socket]:
    """The socket's name stays when its daemon is killed."""
    daemon(socket.SOCK_DGRAM).close()
    return []


def a_stream() -> list[socket.socket]:
    """Older daemons listened here."""
    log = daemon(socket.SOCK_STREAM)
    log.listen(0)
    return [log]


def a_stream_that_is_full() -> list[socket.socket]:
    """Who connects to it waits for the daemon to accept."""
    log = daemon(socket.SOCK_STREAM)
    log.listen(0)
    waiting = []
    try:
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            waiting.append(client)
            client.setblocking(False)
            client.connect(str(LOG))
    except BlockingIOError:
        return [log, *waiting]


def packets() -> list[socket.socket]:
    log = daemon(socket.SOCK_SEQPACKET)
    log.listen(0)
    return [log]


def a_pipe_that_nobody_reads() -> list[socket.socket]:
    os.mkfifo(LOG)
    return []


def a_dangling_link() -> list[socket.socket]:
    """As systemd makes it, while journald is not there."""
    LOG.symlink_to("/run/systemd/journal/dev-log")
    return []


def a_loop() -> list[socket.socket]:
    LOG.symlink_to(LOG)
    return []


def a_directory() -> list[socket.socket]:
    LOG.mkdir()
    return []


@pytest.fixture(
    params=[
        flooded, dead, a_stream, a_stream_that_is_full, packets, a_pipe_that_nobody_reads,
        a_dangling_link, a_loop, a_directory,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
def log(request: pytest.FixtureRequest, own_dev: None) -> Iterator[None]:
    held = request.param()
    yield
    for bound in held:
        bound.close()
    if LOG.is_dir() and not LOG.is_symlink():
        LOG.rmdir()


def test_a_mount_neither_fails_nor_waits(
    ours: Program, caller: User, mountpoint: Path, log: None
) -> None:
    """
    A log daemon that is ill must not make a machine on which nothing can be mounted.
    """
    begun = time.monotonic()
    mounted = ours.mount(mountpoint, "fsname=demo", user=caller)
    unmounted = ours.unmount(mountpoint, user=caller)
    refused = ours.unmount(mountpoint, user=caller)

    assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]
    assert (1, 1) == (refused.exit_status, refused.stderr.count(b"\n"))
    assert time.monotonic() - begun < LIMIT


def test_a_slow_daemon_gets_the_lines_it_has_room_for(
    ours: Program, caller: User, mountpoint: Path, own_dev: None
) -> None:
    """
    One that writes each line to a slow disk; its queue is for that.
    """
    seen: list[bytes] = []

    def read_slowly(log: socket.socket) -> None:
        while line := log.recv(1 << 16):
            seen.append(line)
            time.sleep(0.05)

    with daemon(socket.SOCK_DGRAM) as log:
        reader = threading.Thread(target=read_slowly, args=(log,))
        reader.start()
        for _ in range(4):
            assert 0 == ours.mount(mountpoint, "fsname=demo", user=caller).exit_status
            assert Result(0, b"", b"") == ours.unmount(mountpoint, user=caller)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", str(LOG))
        reader.join()

    assert 8 == len(seen)


def test_a_line_for_which_there_is_no_room_is_lost(
    ours: Program, caller: User, mountpoint: Path, own_dev: None
) -> None:
    """
    The trail is no proof: its price is that a flood hides what is done meanwhile. The flood itself
    is in the log, with its sender's uid.
    """
    with daemon(socket.SOCK_DGRAM) as log:
        taken = caller.call(fill)
        assert 0 == ours.mount(mountpoint, "fsname=demo", user=caller).exit_status

        lines = [log.recv(1 << 16) for _ in range(taken)]
        log.setblocking(False)
        with pytest.raises(BlockingIOError):
            log.recv(1 << 16)

    assert [b"<85>flood"] * taken == lines
