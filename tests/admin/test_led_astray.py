"""
Root's verbs, and a user who changes what their names mean: nothing else is taken than was judged.

Directories are exchanged from a mount namespace older than the mounts, where no directory is a
mountpoint; links, numbers that are given out again, and other namespaces are tried as well.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusermount_py.admin import aside, connections, removal
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.mount_entry import MountEntry
from support import kernel
from support.admin import Admin, Serve
from support.mount_table import mounts_at, mounts_below
from support.older_namespace import OlderNamespace
from support.terminal import Terminal
from support.users import User

ROUNDS = 60  # against ours
UNTIL_WON = 400  # against the weakened: a bound, ten are enough
TRIES = 50  # until the kernel gives the same number again, as others use numbers meanwhile
SYS_OPEN_TREE, OPEN_TREE_CLONE = 428, 1  # linux/mount.h


@pytest.fixture
def attacker(nothing_left: None, caller: User) -> Iterator[OlderNamespace]:
    made = OlderNamespace(caller)
    yield made
    made.end()


@pytest.fixture
def places(home: Path, caller: User, attacker: OlderNamespace) -> tuple[Path, Path]:
    """Two directories of the attacker's, side by side; the second has a mount of root's on it."""
    mine, roots = home / "mine", home / "roots"
    for folder in (mine, roots):
        folder.mkdir()
        os.chown(folder, caller.uid, caller.gid)
    kernel.mount("roots", roots, "tmpfs")
    return mine, roots


def is_roots_there() -> bool:
    return any(entry.source == "roots" for entry in mount_table.entries())


def entry_of(source: str) -> MountEntry:
    """By its source: it may be in either place by now."""
    (entry,) = [entry for entry in mount_table.entries() if entry.source == source]
    return entry


@pytest.mark.parametrize("lazy", [False, True], ids=["plain", "lazy"])
@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_directories_that_are_exchanged_do_not_lead_root_to_another_mount(
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    attacker: OlderNamespace,
    places: tuple[Path, Path],
    who: str,
    *,
    lazy: bool,
) -> None:
    """
    Else who cleans up behind a user takes a mount that the machine needs.
    """
    if who == "weakened":
        monkeypatch.setattr(aside, "is_same", lambda _entry, _other: True)
    mine, roots = places
    for _ in range(ROUNDS if who == "ours" else UNTIL_WON):
        if not any(entry.source == "mine" for entry in mount_table.entries()):
            serve(mine if entry_of("roots").mountpoint == str(roots) else roots, "fsname=mine")
        entry = entry_of("mine")
        with attacker.exchanging(mine, roots):
            removal.unmount(entry, lazy=lazy)
        if not is_roots_there():
            break

    assert is_roots_there() == (who == "ours")


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_a_number_that_is_given_out_again_is_another_mount(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, home: Path, mountpoint: Path, who: str
) -> None:
    """
    The kernel gives the lowest that is free: the next mount is called as the one that was judged.
    """
    if who == "weakened":
        same = "id", "mountpoint"
        monkeypatch.setattr(
            aside,
            "is_same",
            lambda *pair: all(len({getattr(e, n) for e in pair}) == 1 for n in same),
        )
    served = serve(mountpoint, "fsname=mine")
    for _ in range(TRIES):
        entry = entry_of("mine")
        served.peer.kill()
        kernel.umount(mountpoint)
        kernel.mount("roots", mountpoint, "tmpfs")
        if entry_of("roots").id == entry.id:
            break
        kernel.umount(mountpoint)
        served = serve(mountpoint, "fsname=mine")

    failure = removal.unmount(entry, lazy=True)

    assert (failure is None, not is_roots_there()) == (who == "weakened",) * 2
    assert [] == [each for each in mounts_below(home) if each.source == b"mine"]


def test_a_connection_that_ends_while_one_is_asked_leaves_the_next_alone(
    admin: Admin, serve: Serve, caller: User, home: Path
) -> None:
    """
    Its number is the next one's, another user's say, and root is still thinking it over.
    """
    for number in range(TRIES):
        doomed = serve(home / f"doomed-{number}")
        command: list[str | Path] = [*admin.command, "abort", doomed.mountpoint]
        with Terminal(home, command, admin.environment) as terminal:
            terminal.wait_for("Abort it?")
            doomed.peer.kill()
            kernel.umount(doomed.mountpoint)
            next_one = serve(home / f"next-{number}")
            terminal.type("y")
            terminal.wait_for("status ")
        if next_one.connection == doomed.connection:
            break
        kernel.umount(next_one.mountpoint)
    else:
        pytest.fail("the kernel gave no number again")

    caller.call(os.statvfs, next_one.mountpoint)  # is answered


def test_what_is_held_of_a_connection_means_no_other(
    serve: Serve, caller: User, home: Path
) -> None:
    """
    As above: what the promise stands on.
    """
    doomed = serve(home / "doomed")
    with connections.Held(doomed.connection) as held:
        doomed.peer.kill()
        kernel.umount(doomed.mountpoint)
        others = [serve(home / f"{number}") for number in range(3)]
        held.abort()

    for other in others:
        caller.call(os.statvfs, other.mountpoint)  # is answered


@contextmanager
def elsewhere() -> Iterator[int]:
    """A process in a mount namespace of its own, with copies of all mounts."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        kernel.unshare(kernel.CLONE_NEWNS)
        os.write(tell, b"!")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def table_of(pid: int) -> str:
    return Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8")


OUTSIDE = "the working directory lies outside of this mount namespace: give whole paths"


@pytest.mark.parametrize("verb", ["unmount", "abort"])
@pytest.mark.parametrize("way", ["path", "working directory"])
def test_a_mount_of_another_namespace_is_none_of_ours(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path, verb: str, way: str
) -> None:
    """
    Its names are the same as ours: who stands over there does not mean what is here.
    """
    serve(mountpoint)
    with elsewhere() as pid:
        before = table_of(os.getpid()), table_of(pid)
        there = f"/proc/{pid}/root{mountpoint}"
        words = [verb, *(["--yes"] if verb == "abort" else [])]
        if way == "path":
            result = admin.run(*words, there)
        else:
            result = admin.run(*words, mountpoint.name, cwd=os.path.dirname(there))
        after = table_of(os.getpid()), table_of(pid)

    expected = f"nothing is mounted at {there}" if way == "path" else OUTSIDE
    assert (1, f"Error: {expected}") == (
        result.exit_status,
        result.stderr.decode().partition(";")[0].rstrip("\n"),
    )
    assert before == after
    caller.call(os.statvfs, mountpoint)  # is answered


@pytest.mark.parametrize("way", ["path", "working directory"])
def test_a_detached_copy_is_none_of_ours(
    admin: Admin, serve: Serve, mountpoint: Path, way: str
) -> None:
    """
    It has no place, whatever leads to it.
    """
    serve(mountpoint)
    copy = ctypes.CDLL(None).syscall(
        SYS_OPEN_TREE, -100, os.fsencode(mountpoint.parent), OPEN_TREE_CLONE | 0x8000
    )
    assert copy >= 0
    there = f"/proc/{os.getpid()}/fd/{copy}"
    try:
        if way == "path":
            result = admin.run("unmount", f"{there}/{mountpoint.name}")
        else:
            result = admin.run("unmount", mountpoint.name, cwd=there)
    finally:
        os.close(copy)

    expected = f"nothing is mounted at {there}/" if way == "path" else OUTSIDE
    assert 1 == result.exit_status
    assert result.stderr.decode().startswith(f"Error: {expected}")
    assert 1 == len(mounts_at(mountpoint))


def test_a_path_that_leads_to_another_namespace_is_refused(serve: Serve, home: Path) -> None:
    """
    The user owns the directories above, and may put a link in their place.
    """
    folder = home / "folder"
    folder.mkdir()
    served = serve(folder / "mountpoint")
    served.peer.kill()
    entry = entry_of("demo")
    with elsewhere() as pid:
        folder.rename(home / "moved")
        folder.symlink_to(f"/proc/{pid}/root{home}/moved")
        before = table_of(pid)

        failures = [removal.unmount(entry, lazy=True), removal.take_dead(entry)]
        after = table_of(pid)

    assert None not in failures
    assert before == after
    assert 1 == len(mounts_at(home / "moved" / "mountpoint"))
