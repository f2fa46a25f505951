"""
Races that an attacker wins by luck, without the luck: the helper is held at the very call.

Each defence is taken out by tests/mutants, where these attacks must win.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, machine
from support.flows import until
from support.foreign_namespace import ForeignNamespace
from support.held import Held, until_at
from support.mount_table import mount_at, mounts, mounts_at
from support.program import Program, Running
from support.swapper import exchange
from support.users import ROOT, User

Hold = Callable[..., Held]
EACH_WAY = pytest.mark.parametrize("options", [(), ("-z",)], ids=["plain", "lazy"])
EACH_KIND = pytest.mark.parametrize("kind", ["link", "directory"])


@pytest.fixture
def parent(home: Path, caller: User) -> Path:
    """A directory of the caller's with a mountpoint in it."""
    return make_place(home / "parent", caller)


@pytest.fixture
def victim(ours: Program, home: Path, another_user: User, parent: Path) -> int:
    """Another user's mount, below a directory that the caller may rename: its id."""
    place = make_place(home / "beside", another_user)
    assert 0 == ours.mount(place / "mountpoint", user=another_user).exit_status
    (home / "link").symlink_to(place)
    return mount_at(place / "mountpoint").mount_id


def make_place(folder: Path, user: User) -> Path:
    (folder / "mountpoint").mkdir(parents=True)
    os.chown(folder / "mountpoint", user.uid, user.gid)
    return folder


def beside(parent: Path, kind: str) -> Path:
    """What changes places with the parent: a symlink to the victim's folder, or that folder."""
    return parent.with_name("link" if kind == "link" else "beside")


def mount_ids() -> set[int]:
    return {entry.mount_id for entry in mounts()}


@EACH_KIND
def test_what_is_taken_back_is_what_was_attached(
    ours: Program, held: Hold, caller: User, parent: Path, victim: int, kind: str
) -> None:
    """
    Libfuse #1607: a mount that cannot be delivered is undone; by name, it would be another's.
    """
    before = mount_ids()
    running = held(ours, "umount2").start("--", parent / "mountpoint", user=caller)
    running.comm.close()
    until_at(running, "umount2")

    exchange(parent, beside(parent, kind))

    assert 1 == running.wait().exit_status
    assert before == mount_ids()


@EACH_KIND
@pytest.mark.parametrize(
    "options",
    [(), ("-z",), ("-z", "--dead-mount=ID")],
    ids=["plain", "lazy", "dead"],
)
def test_what_is_taken_is_what_was_judged(
    ours: Program,
    held: Hold,
    caller: User,
    parent: Path,
    victim: int,
    kind: str,
    options: tuple[str, ...],
) -> None:
    """
    CVE-2010-3879: else any user takes away another's mount, and what its files guard lies open.
    """
    before = mount_ids()
    mounted = ours.mount(parent / "mountpoint", user=caller)
    assert mounted.device is not None
    mounted.device.close()
    identity = str(mount_at(parent / "mountpoint").mount_id)
    words = [option.replace("ID", identity) for option in options]
    running = held(ours, "umount2").start(
        "-u", *words, "--", parent / "mountpoint", user=caller, comm=None
    )
    until_at(running, "umount2")

    exchange(parent, beside(parent, kind))

    assert 0 == running.wait().exit_status
    assert before == mount_ids()


def test_the_directory_that_was_found_is_the_one_that_is_looked_into(
    ours: Program, held: Hold, caller: User, parent: Path, victim: int
) -> None:
    """
    Else one's own mount is judged and another's is taken, both at the same path in turn.
    """
    before = mount_ids()
    ours.mount(parent / "mountpoint", user=caller)
    exchange(parent, parent.with_name("beside"))  # at the path stands the victim's mount
    running = held(ours, "?readlink,?readlinkat", after=True).start(
        "-u", "--", parent / "mountpoint", user=caller, comm=None
    )
    descriptors = Path(f"/proc/{running.process.pid}/fd")
    until(lambda: str(parent) in links_in(descriptors), "the parent directory is held")

    exchange(parent, parent.with_name("beside"))  # and now the caller's own

    running.wait()
    assert before <= mount_ids()


def links_in(descriptors: Path) -> list[str]:
    try:
        return [os.readlink(descriptors / name) for name in os.listdir(descriptors)]
    except OSError:
        return []  # one of them was closed meanwhile


@pytest.fixture
def older_namespace(caller: User, parent: Path) -> Iterator[int]:
    """A process of the caller's to whom nothing is mounted there: it exchanges on a signal."""
    ready, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            caller.become()
            kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
            os.write(telling, b"!")
            signal.sigwait([signal.SIGUSR1])
            exchange(parent / "mountpoint", parent / "link")
        finally:
            os._exit(0)
    assert b"!" == os.read(ready, 1)
    os.close(ready)
    os.close(telling)
    yield child
    os.waitpid(child, 0)


@pytest.fixture
def elsewhere(nothing_left: None) -> Iterator[Path]:
    """A file system that no name in the caller's directories can come to lead to."""
    path = machine.SCRATCH / "elsewhere"
    path.mkdir()
    kernel.mount("tmpfs", path, "tmpfs", options="mode=0755")
    yield path
    kernel.umount(path)
    path.rmdir()


@EACH_WAY
def test_a_mountpoint_that_becomes_a_symlink_is_not_followed(
    ours: Program,
    held: Hold,
    caller: User,
    another_user: User,
    parent: Path,
    older_namespace: int,
    elsewhere: Path,
    options: tuple[str, ...],
) -> None:
    """
    A mountpoint can be renamed from a mount namespace that does not have the mount; and a symlink
    leads to any mount of the machine.
    """
    os.chown(parent, caller.uid, caller.gid)
    place = make_place(elsewhere, another_user) / "mountpoint"
    assert 0 == ours.mount(place, user=another_user).exit_status
    victim = mount_at(place).mount_id
    (parent / "link").symlink_to(place)
    ours.mount(parent / "mountpoint", user=caller)
    running = held(ours, "umount2").start(
        "-u", *options, "--", parent / "mountpoint", user=caller, comm=None
    )
    until_at(running, "umount2")

    os.kill(older_namespace, signal.SIGUSR1)
    # To Path.is_symlink() the caller's mount is closed, even for root.
    until(lambda: os.path.islink(parent / "mountpoint"), "the names have changed places")

    running.wait()
    assert victim in mount_ids()


def threads_of(running: Running) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/task"))


def test_no_signal_comes_between_attaching_and_telling(
    ours: Program, held: Hold, caller: User, mountpoint: Path
) -> None:
    """
    Ctrl-C reaches a starting server and its helper alike: a mount would stay that nobody serves.
    """
    running = held(ours, "move_mount", after=True).start("--", mountpoint, user=caller)
    until(lambda: mounts_at(mountpoint), "the mount is attached")
    until(lambda: threads_of(running) == 1, "the thread that looked at the clock has ended")

    caller.call(os.kill, running.process.pid, signal.SIGTERM)

    assert running.receive_device()
    assert 0 == running.wait().exit_status


@pytest.mark.parametrize("victim", ["another owner's", "another source", "on another mount"])
def test_what_mount_2_has_made_is_taken_for_no_other(
    ours: Program, held: Hold, caller: User, home: Path, parent: Path, victim: str
) -> None:
    """
    In a sandbox that has no other call it is looked for by its name, which the attacker exchanges
    from an older mount namespace; and what is found is then taken back.
    """
    mine, other = parent / "mountpoint", parent / "other"
    os.chown(parent, caller.uid, caller.gid)
    other.mkdir()
    os.chown(other, caller.uid, caller.gid)
    with ForeignNamespace(caller, home) as older:
        if victim == "on another mount":
            kernel.mount("tmpfs", other, "tmpfs", options=f"uid={caller.uid}")
        owner = ROOT if victim == "another owner's" else caller
        source = "another" if victim == "another source" else "same"
        assert 0 == ours.mount(other, f"fsname={source}", user=owner).exit_status
        before = mount_ids()
        lacking = ("fsopen:error=ENOSYS",)
        running = held(ours, "mount", after=True, faults=lacking).start(
            "-o", "fsname=same", "--", mine, user=caller
        )
        running.comm.close()  # so that the device cannot be delivered
        until(lambda: mounts_at(mine), "it is mounted")

        def exchange_there() -> None:
            kernel.setns(older.pid)
            exchange(mine, other)

        ROOT.call(exchange_there)
        result = running.wait()
    assert before <= mount_ids()
    assert 1 == result.exit_status
    assert b"it is mounted, but not to be found again" in result.stderr


@EACH_KIND
def test_what_has_a_long_name_is_held_as_well(
    ours: Program, held: Hold, caller: User, parent: Path, victim: int, kind: str
) -> None:
    """
    It goes through mount(2), which gives no descriptor; looked for by its name it is another's.
    """
    before = mount_ids()
    running = held(ours, "move_mount", after=True).start(
        "-o", f"fsname={'n' * 300}", "--", parent / "mountpoint", user=caller
    )
    running.comm.close()
    until(lambda: mounts_at(parent / "mountpoint"), "the mount is attached")

    exchange(parent, beside(parent, kind))

    assert 1 == running.wait().exit_status
    assert before == mount_ids()


@pytest.mark.parametrize("place", ["beside", "below"])
def test_what_comes_to_have_the_name_stays(
    ours: Program, held: Hold, caller: User, home: Path, parent: Path, place: str
) -> None:
    """
    A plain unmount that went by the name of the user's mount would take root's.
    """
    os.chown(parent, caller.uid, caller.gid)
    mine, roots = parent / "mountpoint", parent / "roots"
    roots.mkdir()
    with ForeignNamespace(caller, home) as older:
        kernel.mount("tmpfs", roots if place == "beside" else mine, "tmpfs", options="mode=0777")
        before = mount_ids()
        assert 0 == ours.mount(mine, user=caller).exit_status
        running = held(ours, "umount2").start("-u", "--", mine, user=caller, comm=None)
        until_at(running, "umount2")

        def exchange_there() -> None:
            kernel.setns(older.pid)
            exchange(mine, roots)

        if place == "beside":
            ROOT.call(exchange_there)
        else:
            assert 0 == ours.unmount(mine, "-z", user=caller).exit_status

        running.wait()
    assert before == mount_ids()
