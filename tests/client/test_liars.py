"""Helpers that lie, stall or die: an answer within seconds, and nothing left."""

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusermount_py import client
from support.mount_table import mounts_at
from support.program import Program
from support.story import mount_hello, serve

Tell = Callable[..., object]

INSTEAD_OF_THE_DEVICE = {
    "nothing, status 0": "sys.exit(0)",
    "nothing, status 1": "sys.exit(1)",
    "garbage": 'send(b"garbage")',
    "garbage with a device": 'send(b"garbage", os.open("/dev/fuse", os.O_RDWR))',
    "a byte without an fd": 'send(b"\\0")',
    "two fds": 'send(b"\\0", os.open("/dev/fuse", os.O_RDWR), os.open("/dev/fuse", os.O_RDWR))',
    "forty fds": 'send(b"\\0", *[os.open("/dev/fuse", os.O_RDWR) for _ in range(40)])',
    "a file": 'send(b"\\0", os.open("/etc/passwd", os.O_RDONLY))',
    "another device": 'send(b"\\0", os.open("/dev/zero", os.O_RDWR))',
    "a socket": 'send(b"\\0", comm.fileno())',
    "a pipe": 'send(b"\\0", os.pipe()[0])',
    "a long message": 'send(b"\\0" * 70000)',
    "an empty message": 'send(b""); time.sleep(1)',
    "a status": "send((-1).to_bytes(4, sys.byteorder, signed=True))",
    "a broken report": 'send(b"{")',
    "a report of other things": 'send(b\'{"errno": "x", "step": 1, "message": [], "kernel": 3}\')',
    "killed": "os.kill(os.getpid(), 9)",
    "a megabyte of stderr": 'os.write(2, b"x" * (1 << 20)); sys.exit(1)',
    "a megabyte of lines": 'os.write(2, b"liar: no\\n" * 120000); sys.exit(1)',
    "no UTF-8": 'os.write(2, b"liar: \\xff\\xfe\\n"); sys.exit(1)',
}
DEVICE = 'send(b"\\0", os.open("/dev/fuse", os.O_RDWR));'
INSTEAD_OF_THE_STATUS = {
    "gone before proceed": "sys.exit(1)",
    "killed before proceed": "os.kill(os.getpid(), 9)",
    "gone after proceed": "comm.recv(1); sys.exit(1)",
    "killed after proceed": "comm.recv(1); os.kill(os.getpid(), 9)",
    "a status before proceed": 'send(b"\\0\\0\\0\\0"); time.sleep(9)',
    "a report before proceed": (
        'send(b\'{"errno": 110, "step": "proceed", "message": "m", "kernel": ["k"]}\')'
    ),
    "two bytes": 'comm.recv(1); send(b"\\0\\0")',
    "three bytes": 'comm.recv(1); send(b"\\0\\0\\0")',
    "five bytes": 'comm.recv(1); send(b"\\0" * 5)',
    "a positive status": 'comm.recv(1); send(b"\\1\\0\\0\\0")',
    "success without a mount": 'comm.recv(1); send(b"\\0\\0\\0\\0")',
    "success without a mount, one byte": 'comm.recv(1); send(b"\\0")',
    "an errno that is none": "comm.recv(1); send((-99999).to_bytes(4, sys.byteorder, signed=True))",
    "one byte, no": 'comm.recv(1); send(b"\\1")',
    "an errno without a word": "comm.recv(1); send((-13).to_bytes(4, sys.byteorder, signed=True))",
    "an errno and garbage": (
        'comm.recv(1); send((-13).to_bytes(4, sys.byteorder, signed=True)); send(b"garbage")'
    ),
    "a status with an fd": 'comm.recv(1); send(b"\\0\\0\\0\\0", 0)',
    "a second device": 'comm.recv(1); send(b"\\0", os.open("/dev/fuse", os.O_RDWR))',
}


def attempt(mountpoint: Path, helper: str, **how: Any) -> float:
    """Mount through the liar; how long that took until MountError."""
    began = time.monotonic()
    threads: list[Any] = []
    with pytest.raises(client.MountError) as caught:
        mount_hello(mountpoint, helper=helper, threads=threads, **how)
    assert caught.value.errno
    assert caught.value.step
    assert len(str(caught.value)) < 2000
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert [] == mounts_at(mountpoint)
    return time.monotonic() - began


@pytest.mark.parametrize("lie", INSTEAD_OF_THE_DEVICE)
def test_no_device_is_a_mount_error(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path, lie: str
) -> None:
    """
    The helper is found by name on a PATH: it may be anything.
    """
    helper = liar(INSTEAD_OF_THE_DEVICE[lie])

    tell(lambda: attempt(mountpoint, helper))


@pytest.mark.parametrize("lie", INSTEAD_OF_THE_STATUS)
def test_no_status_is_a_mount_error(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path, lie: str
) -> None:
    """
    The device is armed by then, and a thread that read it would sleep for ever.
    """
    helper = liar(DEVICE + INSTEAD_OF_THE_STATUS[lie])

    tell(lambda: attempt(mountpoint, helper))


def test_a_classic_device_without_a_mount_is_a_mount_error(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path
) -> None:
    """
    Every read of it would fail with EPERM, long after the mount was said to be there.
    """
    helper = liar(DEVICE)

    def story() -> None:
        with pytest.raises(client.MountError):
            client.prepare(mountpoint, sync_init="never", helper=helper)

    tell(story)


@pytest.mark.parametrize(
    ("stall", "how"),
    [
        ("time.sleep(99)", {"proceed_timeout": 0.3}),
        ('while True: os.write(2, b"liar: and on\\n" * 99)', {"proceed_timeout": 0.3}),
        (DEVICE + "time.sleep(99)", {"init_timeout": 0.3}),
        (DEVICE + "comm.close(); time.sleep(99)", {"init_timeout": 0.3}),
        ('send(b"garbage"); time.sleep(99)', {}),
        ("comm.close(); time.sleep(99)", {}),
    ],
)
def test_a_helper_that_never_exits_is_not_waited_for(
    tell: Tell,
    liar: Callable[[str], str],
    mountpoint: Path,
    stall: str,
    how: dict[str, float],
) -> None:
    """
    A program at boot must not hang because another one does.
    """
    helper = liar(stall)

    took = tell(lambda: attempt(mountpoint, helper, **how))

    assert isinstance(took, float)
    assert took < 20


def test_the_sentence_of_a_helper_that_talks_too_much_is_found(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path
) -> None:
    """
    The reason comes last; whoever has to find it in a megabyte of warnings needs just that.
    """
    helper = liar(
        """
        os.write(2, b"liar: warning\\n" * 80000)
        os.write(2, b"liar: failed to open /dev/fuse: Permission denied\\n")
        sys.exit(1)
        """
    )

    with pytest.raises(client.MountError) as caught:
        tell(lambda: client.prepare(mountpoint, helper=helper))

    assert errno.EACCES == caught.value.errno
    assert "failed to open /dev/fuse: Permission denied" == caught.value.message


def test_a_mount_whose_helper_died_before_it_could_say_so_is_taken_back(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path
) -> None:
    """
    Otherwise the author is told "failed", and the next attempt stacks on a dead mount.
    """
    helper = liar(
        """
        real = Real()
        send(b"\\0", real.device())
        real.comm.send(comm.recv(1))
        assert real.comm.recv(4) == bytes(4)
        os.kill(os.getpid(), 9)
        """
    )

    tell(lambda: attempt(mountpoint, helper))


def test_a_classic_mount_whose_device_was_never_sent_is_taken_back(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path
) -> None:
    """
    Otherwise the author is told "failed", and the next attempt stacks on a dead mount.
    """
    helper = liar(
        """
        real = Real()
        device = real.device()
        real.process.wait()
        os.kill(os.getpid(), 9)
        """
    )

    def story() -> None:
        with pytest.raises(client.MountError):
            client.prepare(mountpoint, sync_init="never", helper=helper)
        assert [] == mounts_at(mountpoint)

    tell(story)


def test_what_others_mounted_meanwhile_is_not_taken_back(
    tell: Tell, liar: Callable[[str], str], ours: Program, mountpoint: Path
) -> None:
    """
    Undoing must never hit a mount of somebody else, not even one of the same user.
    """
    helper = liar(DEVICE + "comm.recv(1); sys.exit(1)")

    def story() -> None:
        prepared = client.prepare(mountpoint, helper=helper)
        serve(prepared)
        mounted = mount_hello(mountpoint, helper=ours.path)
        with pytest.raises(client.MountError):
            prepared.proceed()
        assert b"Hello" in (mountpoint / "hello").read_bytes()
        mounted.unmount()

    tell(story)
