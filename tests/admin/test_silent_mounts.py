"""
A server that has read a request and never answers: not even SIGKILL ends who waits for it.

None of the verbs may wait for such a process, nor be one.
"""

import io
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel
from support.admin import Admin
from support.flows import until
from support.mount_table import mounts_at
from support.program import Program
from support.users import ROOT, User


class Silent:
    """A mount for everybody, with a mount in it; then its server reads, and that is all."""

    def __init__(self, program: Program, user: User, outer: Path) -> None:
        self.inner = outer / "inside"
        result = program.mount(outer, "allow_other,subtype=outer", user=user)
        assert result.device is not None, result
        self._device = result.device
        peer = program.serve(self._device, user=user, root_mode=stat.S_IFDIR | 0o777)
        inside = program.mount(self.inner, "subtype=inner", user=user)
        assert inside.device is not None, inside
        self.server = program.serve(inside.device, user=user)
        inside.device.close()
        user.call(os.stat, self.inner)
        peer.kill()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _read_for_ever(self._device)
            finally:
                os._exit(0)

    def end(self) -> None:
        """Whoever waits gets an error."""
        self._device.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        kernel.umount(self.inner.parent)  # with what is in there


def _read_for_ever(device: io.FileIO) -> None:
    while True:
        try:
            os.read(device.fileno(), 1 << 18)
        except InterruptedError:
            continue


@pytest.fixture
def silent(
    ours: Program, caller: User, mountpoint: Path, fuse_conf: Callable[..., None]
) -> Iterator[Silent]:
    fuse_conf("user_allow_other\n")
    os.chown(mountpoint, caller.uid, caller.gid)
    made = Silent(ours, caller, mountpoint)
    yield made
    made.end()


@pytest.fixture(params=["root", "owner"])
def who(request: pytest.FixtureRequest, caller: User) -> User:
    return ROOT if request.param == "root" else caller


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("reap",), "{} cannot be reached by this path"),
        (("unmount", "{}"), "{} cannot be reached: it does not answer"),
        (("unmount", "--lazy", "{}"), "{} cannot be reached: it does not answer"),
    ],
)
def test_a_dead_mount_in_a_silent_one_is_told_about_and_not_waited_for(
    admin: Admin, silent: Silent, who: User, words: tuple[str, ...], sentence: str
) -> None:
    """
    Any user can make one, and root's cleaning up would never come back from it.
    """
    silent.server.kill()

    result = admin.run(*(word.format(silent.inner) for word in words), user=who)

    assert (1, b"") == (result.exit_status, result.stdout)
    if who == ROOT or words[0] == "reap":  # else the helper's sentence
        # Of the outer one as well: root holds its device here, so that its owner sees no server.
        expected = f"fusermount-py: {sentence.format(silent.inner)}"
        assert expected in result.stderr.decode().splitlines()
    assert 1 == len(mounts_at(silent.inner))


@pytest.mark.parametrize("verb", [("mounts", "--ask"), ("reap", "--dry-run")])
def test_a_silent_mount_is_asked_and_not_waited_for(
    admin: Admin, silent: Silent, who: User, verb: tuple[str, ...]
) -> None:
    """
    As above, where the question itself is what is not answered.
    """
    silent.server.kill()

    assert 0 == admin.run(*verb, user=who).exit_status


def test_a_helper_behind_a_silent_mount_is_not_waited_for(admin: Admin, silent: Silent) -> None:
    """
    PATH may lead there, and what looks along it would keep the command from ending.
    """
    admin.environment["PATH"] = f"{silent.inner}:{admin.environment['PATH']}"

    result = admin.run("trace", "--", "true")

    assert 1 == result.exit_status
    assert b"a folder on PATH does not answer" in result.stderr


def test_watching_leaves_one_process_behind_for_each_silent_mount(
    admin: Admin, silent: Silent, home: Path, ours: Program, caller: User
) -> None:
    """
    Each change of the mount table is a new look: else any user fills the machine with processes of
    root's that nothing can end.
    """
    silent.server.kill()
    watcher = admin.start("reap", "--watch")
    until(lambda: waiting(watcher.pid), "it has asked")
    other = home / "other"
    other.mkdir()
    os.chown(other, caller.uid, caller.gid)
    for _ in range(4):
        device = ours.mount(other, "fsname=dies", user=caller).device
        assert device is not None
        device.close()
        until(lambda: not mounts_at(other), "the other one is reaped")

    assert 1 == len(waiting(watcher.pid))


def waiting(pid: int) -> list[str]:
    """Its children that nothing ends."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    states = [
        (child, Path(f"/proc/{child}/stat").read_text(encoding="ascii")) for child in text.split()
    ]
    return [child for child, state in states if state.rpartition(") ")[2][0] == "D"]
