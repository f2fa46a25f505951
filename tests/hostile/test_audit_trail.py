"""
The administrator's trail: one line in the authpriv log for all that an ordinary user is granted.

It is a trail and no proof: whoever may write to /dev/log can write such lines. The daemon notes by
itself, in a field of its own, whose process has sent each.
"""

import os
import resource
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.flows import until
from support.held import Held
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import ROOT, User
from support.weakened import Change

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "urandom": (1, 9), "fuse": (10, 229)}
PREFIX = b"<85>fusermount3["  # authpriv, notice


@pytest.fixture
def log(nothing_left: None) -> Iterator[socket.socket]:
    """The log daemon's end of a /dev/log of our own, in a /dev of our own."""
    place = machine.SCRATCH / "dev"
    place.mkdir()
    for name, numbers in DEVICES.items():
        os.mknod(place / name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        (place / name).chmod(0o666)
    kernel.mount(place, "/dev", flags=kernel.MS_BIND)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        daemon.settimeout(5)
        yield daemon
    kernel.umount("/dev")
    for name in (*DEVICES, "log"):
        (place / name).unlink()
    place.rmdir()


def lines(log: socket.socket) -> list[bytes]:
    """What has been logged; each message without its tag and pid."""
    found: list[bytes] = []
    log.setblocking(False)
    while True:
        try:
            message = log.recv(1 << 16)
        except BlockingIOError:
            return found
        assert message.startswith(PREFIX)
        found.append(message.partition(b"]: ")[2])


def test_a_mount_and_its_end_are_one_line_each(
    ours: Program, caller: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    Who mounted what, and where, is what is asked after an incident.
    """
    ours.mount(mountpoint, "fsname=demo,subtype=x", user=caller)
    ours.unmount(mountpoint, user=caller)

    who, place = f"uid={caller.uid} gid={caller.gid}", f'mountpoint="{mountpoint}"'
    mounted, unmounted = lines(log)
    assert f'{who} mount {place} type="fuse.x" source="demo" result="granted"' == mounted.decode()
    assert unmounted.startswith(f'{who} unmount {place} type="fuse'.encode())
    assert unmounted.endswith(b' result="granted"')


DEEDS: dict[str, tuple[str, ...]] = {
    "mount": (),
    "plain unmount": ("-u",),
    "lazy unmount": ("-u", "-z"),
    "dead mount": ("-u", "-z", "-q", "--dead-mount=ID"),
}


@pytest.mark.parametrize("words", DEEDS.values(), ids=DEEDS)
def test_a_helper_that_is_killed_after_the_deed_has_left_its_line(
    ours: Program,
    held: Callable[..., Held],
    caller: User,
    mountpoint: Path,
    log: socket.socket,
    words: tuple[str, ...],
) -> None:
    """
    All its ids are the caller's, who may kill it at any instant: between the deed and its line.
    """
    if words:
        mounted = ours.mount(mountpoint, user=caller)
        assert mounted.device is not None
        mounted.device.close()
        identity = str(mount_at(mountpoint).mount_id)
        words = tuple(word.replace("ID", identity) for word in words)
        lines(log)
    running = held(ours, "move_mount", "umount2", after=True).start(
        *words, "--", mountpoint, user=caller
    )
    until(lambda: bool(mounts_at(mountpoint)) != bool(words), "the deed is done")

    caller.call(os.kill, running.process.pid, signal.SIGKILL)
    running.wait()

    (line,) = lines(log)
    assert line.endswith(b'result="granted"')


def test_a_refusal_is_a_line_with_its_sentence(
    ours: Program, caller: User, another_user: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    Someone who tries one door after the other shall be seen.
    """
    ours.mount(mountpoint, user=another_user)
    ours.mount(mountpoint, "allow_other", user=caller)
    ours.unmount(mountpoint, user=caller)

    found = lines(log)
    assert [
        f"user has no write access to mountpoint {mountpoint}",
        "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
        f"entry for {mountpoint} not found in /etc/mtab",
    ] == [line.decode().partition("result=")[2].strip('"') for line in found]
    assert found[0].startswith(f"uid={another_user.uid} ".encode())


FORGED = b'x" result="granted"\n<85>sudo: root\r\x1b[2J\\\x7f\xff\xc3\xa9'


@pytest.mark.parametrize("where", ["mountpoint", "fsname"])
def test_no_line_can_be_forged(
    ours: Program, caller: User, home: Path, mountpoint: Path, log: socket.socket, where: str
) -> None:
    """
    A name could else write lines of its own, or end the quotes it stands in.
    """
    place: bytes | Path = mountpoint
    if where == "mountpoint":
        place = os.fsencode(home) + b"/" + FORGED.replace(b"/", b"")
        os.mkdir(place)
        os.chown(place, caller.uid, caller.gid)
    name = FORGED.replace(b"\\", b"\\\\") if where == "fsname" else b"demo"

    mounted = ours.mount(place, b"fsname=" + name, user=caller)
    (line,) = lines(log)

    assert (0, b"") == (mounted.exit_status, mounted.stderr)
    assert not line.translate(None, bytes(range(0x20, 0x7F)))
    assert 8 == line.count(b'"')
    assert rb"x\042 result=\042granted\042\012<85>sudo: root\015\033[2J\134\177\377\303\251" in line


def test_a_long_name_still_fits_into_a_line(
    ours: Program, caller: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    Else whoever mounts with a long name leaves no trace.
    """
    ours.mount(mountpoint, "fsname=" + "n" * 3000, user=caller)

    (line,) = lines(log)
    assert f'source="{"n" * 512}"... result="granted"'.encode() in line


def test_a_log_daemon_that_hangs_makes_nobody_wait(
    ours: Program, caller: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    syslog() of the C library waits for as long as the daemon does. A daemon that reads nothing is
    full after a few messages.
    """
    for _ in range(40):
        assert 1 == ours.mount(mountpoint, "allow_other", user=caller).exit_status

    assert 0 == ours.mount(mountpoint, user=caller).exit_status
    assert 1 == len(mounts_at(mountpoint))


def test_a_helper_that_waits_for_its_log_would_wait_here(
    weakened: Callable[..., Program], caller: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    Shows that the test above would notice.
    """
    patient = weakened(
        Change("fusermount_py/helper/kernel/audit_trail.py", "_socket.MSG_DONTWAIT | ", "")
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
        flood.setblocking(False)
        try:
            while True:
                flood.sendto(b"full", "/dev/log")
        except BlockingIOError:
            pass

    running = patient.start("-o", "allow_other", "--", mountpoint, user=caller)
    state = ""
    while state != "unix_wait_for_peer":
        state = Path(f"/proc/{running.process.pid}/wchan").read_text(encoding="ascii")
        assert running.process.poll() is None
    running.process.kill()


def test_without_a_log_daemon_nothing_changes(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Containers and rescue systems have none.
    """
    assert not Path("/dev/log").is_socket()

    assert (0, b"") == ours.mount(mountpoint, user=caller)[0:3:2]


def test_what_root_does_is_not_recorded(
    ours: Program, mountpoint: Path, log: socket.socket
) -> None:
    """
    The trail is of what was granted to those who could not do it themselves.
    """
    ours.mount(mountpoint, user=ROOT)

    assert [] == lines(log)


@pytest.mark.parametrize("flow", ["mount", "unmount"])
def test_nothing_is_done_that_no_descriptor_is_left_to_record(
    ours: Program, caller: User, home: Path, log: socket.socket, flow: str
) -> None:
    """
    Else whoever starves the helper of descriptors, by one only, works unseen.
    """
    done = 0
    for limit in range(3, 40):
        place = home / f"place-{limit}"
        place.mkdir()
        os.chown(place, caller.uid, caller.gid)
        if flow == "unmount":
            ours.mount(place, user=caller)
        lines(log)

        def starve(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        words = ("-u", "--", place) if flow == "unmount" else ("--", place)
        result = ours.run(*words, user=caller, preexec_fn=starve)

        assert result.exit_status in (0, 1)
        if (flow == "mount") == bool(mounts_at(place)):
            done += 1
            assert any(b'result="granted"' in line for line in lines(log)), limit
    assert done


def test_a_refusal_has_its_line_without_descriptors(
    ours: Program, caller: User, mountpoint: Path, log: socket.socket
) -> None:
    """
    The caller may limit a running helper; who hides each failure tries on.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    pid = running.process.pid

    def starve() -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))

    caller.call(starve)
    running.comm.close()

    assert 1 == running.wait().exit_status
    assert any(b"went away before it was mounted" in line for line in lines(log))
