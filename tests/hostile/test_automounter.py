"""
A path through an automounter whose daemon does not answer: the look-up itself waits, for ever.

Every user may walk into root's autofs mounts.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel
from support.flows import classic, refused, until
from support.mount_table import mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change, Target, against

SENTENCE = "the file system at the mountpoint, or on the way to it, does not answer"
IMPATIENT = {"_FUSE_PROCEED_TIMEOUT": "0.5"}


@pytest.fixture
def automount(home: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts an autofs of a kind (direct, indirect), whose daemon reads no request."""
    daemon = os.fork()
    if daemon == 0:
        os.setsid()  # the daemon's process group, which the kernel never makes wait
        signal.pause()
    until(lambda: os.getpgid(daemon) == daemon, "a session of its own")
    reader, writer = os.pipe()
    place = home / "automounted"
    place.mkdir()

    def automount(kind: str) -> Path:
        options = f"fd={writer},pgrp={daemon},minproto=5,maxproto=5,{kind}"
        options += f",uid={home.stat().st_uid},gid={home.stat().st_gid}"
        kernel.mount("automounter", place, "autofs", options=options)
        return place

    yield automount
    kernel.umount(place)
    os.kill(daemon, signal.SIGKILL)
    os.waitpid(daemon, 0)
    os.close(reader)
    os.close(writer)


@against(
    Change(
        "fusermount_py/helper/kernel/patience.py",
        "start_thread(lambda: self._wait(seconds, over))",
        "pass",
    )
)
@pytest.mark.parametrize("name", ["here", "here/below", "here/..", "here/."])
def test_a_look_up_that_never_ends_ends(
    target: Target, caller: User, automount: Callable[[str], Path], name: str
) -> None:
    """
    The helper would wait for a daemon's answer for ever, and keep a place of mount_max.
    """
    path = f"{automount('indirect')}/{name}"
    running = target.program.start("--", path, user=caller, environment=IMPATIENT)

    if target.is_weak:
        time.sleep(2)
        assert running.process.poll() is None
        running.process.kill()
        return
    assert refused(SENTENCE) == running.wait()


@pytest.mark.parametrize("kind", ["direct", "indirect"])
def test_the_automounters_own_directory_is_no_mountpoint(
    ours: Program, caller: User, automount: Callable[[str], Path], kind: str
) -> None:
    """
    The caller's by its owner and mode; but what appears in it is the automounter's to say.
    """
    place = automount(kind)
    assert (caller.uid, 0o755) == (place.stat().st_uid, place.stat().st_mode & 0o777)

    result = classic(ours, place, user=caller, environment=IMPATIENT)

    assert refused(f"user has no write access to mountpoint {place}") == result
    assert ["autofs"] == [entry.fstype for entry in mounts_at(place)]


def test_nobody_waits_for_those_that_wait(
    ours: Program, caller: User, another_user: User, home: Path, automount: Callable[[str], Path],
    fuse_conf: Callable[..., None],
) -> None:  # fmt: skip
    """
    They sleep in the kernel, with a seat each, and cannot even be asked how long they will.
    """
    fuse_conf("mount_max = 20\n")
    path = automount("indirect") / "here"
    waiting = [ours.start("--", path, user=caller) for _ in range(8)]
    place = home / "open"
    place.mkdir()
    place.chmod(0o777)

    mounted = ours.mount(place, user=another_user)
    unmounted = ours.unmount(place, user=another_user)

    assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]
    for running in waiting:
        assert running.process.poll() is None
        running.process.kill()


@pytest.mark.parametrize("words", [("-u",), ("-u", "-z"), ("--auto-unmount",)])
def test_unmounting_there_ends_too(
    ours: Program, caller: User, automount: Callable[[str], Path], words: tuple[str, ...]
) -> None:
    """
    A guard that waits for ever in a look-up is a process for each mount that there was.
    """
    path = automount("indirect") / "here"
    running = ours.start(*words, "--", path, user=caller, environment=IMPATIENT)

    try:
        assert 1 == running.process.wait(timeout=8)
    finally:
        running.process.kill()
