"""`fusermount-py unmount` and `abort`: what they take, what they refuse, what they advise."""

import ctypes
import mmap
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusermount_py.admin import removal
from fusermount_py.helper.kernel import mount_table
from support import kernel
from support.admin import DISCONNECTED, Admin, Asking, Serve
from support.flows import until
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User


def test_ones_own_mount_is_unmounted(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    An ordinary user's way leads through the setuid helper.
    """
    serve(mountpoint)

    result = admin.run("unmount", mountpoint, user=caller)

    assert (0, b"", b"") == result[:3]
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("state", ["killed", "stopped"])
def test_a_dead_or_hung_mount_is_unmounted_without_waiting_for_it(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path, state: str
) -> None:
    """
    This is when people need it.
    """
    served = serve(mountpoint)
    served.peer.kill() if state == "killed" else served.peer.stop()

    assert 0 == admin.run("unmount", mountpoint, user=caller).exit_status
    assert [] == mounts_at(mountpoint)


def test_a_connection_number_takes_all_its_mounts(
    admin: Admin, serve: Serve, home: Path, mountpoint: Path
) -> None:
    """
    A bind copy keeps the file system alive; whoever ends the connection means all of them.
    """
    served = serve(mountpoint)
    copy = home / "copy"
    copy.mkdir()
    kernel.mount(mountpoint, copy, flags=kernel.MS_BIND)

    assert 0 == admin.run("unmount", str(served.connection)).exit_status
    assert [] == mounts_at(mountpoint) + mounts_at(copy)


def test_a_path_is_taken_relative_to_the_current_directory(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    People name mounts as they name files.
    """
    serve(mountpoint)
    words = f"../{mountpoint.parent.name}/{mountpoint.name}/"

    result = admin.run("unmount", words, user=caller, cwd=mountpoint.parent)

    assert (0, b"") == (result.exit_status, result.stderr)


@contextmanager
def sitting_in(path: Path, user: User) -> Iterator[int]:
    """A process whose working directory is ``path``."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        user.become()
        os.chdir(path)
        os.write(writer, b"!")
        signal.pause()
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_who_keeps_a_mount_busy_is_named_and_the_mount_stays(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    "Device or resource busy" alone sends people to lsof, which hangs.
    """
    serve(mountpoint)
    with sitting_in(mountpoint, caller) as pid:
        result = admin.run("unmount", mountpoint)

    assert 1 == result.exit_status
    lines = result.stderr.decode().splitlines()
    assert f"fusermount-py: failed to unmount {mountpoint}: Device or resource busy" == lines[0]
    assert [line for line in lines if f"{pid} " in line and "working directory" in line]
    assert "--lazy" in lines[-1]
    assert b"demo" == mount_at(mountpoint).source


def test_a_file_that_is_only_mapped_keeps_a_mount_busy(
    admin: Admin, ours: Program, caller: User, home: Path
) -> None:
    """
    Root takes by a descriptor, where the kernel does not say busy: what is overlooked is detached
    under the process that uses it.
    """
    mountpoint = home / "file"
    mountpoint.touch()
    os.chown(mountpoint, caller.uid, caller.gid)
    result = ours.mount(mountpoint, user=caller)
    assert result.device is not None
    ours.serve(result.device, root_mode=stat.S_IFREG | 0o644)
    result.device.close()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        caller.become()
        descriptor = os.open(mountpoint, os.O_RDONLY)
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p  # Python's own mmap keeps the file open
        libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, ctypes.c_long(0))
        os.close(descriptor)
        os.write(writer, b"!")
        signal.pause()
    os.read(reader, 1)
    status, _, said, _ = admin.run("unmount", mountpoint)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for end in (reader, writer):
        os.close(end)

    assert 1 == status
    (line,) = [line for line in said.decode().splitlines() if "has a file of it mapped" in line]
    assert f"  {pid} " in line
    assert 1 == len(mounts_at(mountpoint))


def test_roots_unmount_takes_the_record_in_utab_as_well(
    admin: Admin, ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Else the next mount of that name is shown with options that it has not.
    """
    result = ours.mount(mountpoint, "fsname=demo,x-demo", user=caller)
    assert result.device is not None
    until(lambda: b"x-demo" in utab.read_bytes(), "the mount is recorded")

    assert 0 == admin.run("unmount", mountpoint).exit_status
    assert b"" == utab.read_bytes()
    result.device.close()


def test_lazy_takes_a_busy_mount(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    The advice that the refusal gives must work.
    """
    serve(mountpoint)
    with sitting_in(mountpoint, caller):
        result = admin.run("unmount", "--lazy", mountpoint, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)


@pytest.fixture
def swap(home: Path, serve: Serve) -> tuple[Path, str]:
    """A user's mountpoint, and the command that makes its path lead to a mount of root's."""
    roots, users = home / "roots", home / "users"
    for folder in (roots / "boot", users):
        folder.mkdir(parents=True)
    kernel.mount("tmpfs", roots / "boot", "tmpfs")
    serve(users / "boot")
    return users / "boot", f"mv {users} {home}/away && ln -s {roots} {users}"


def test_a_path_that_was_swapped_since_the_mount_table_was_read_is_refused(
    swap: tuple[Path, str], home: Path
) -> None:
    """
    Who cleans up behind a user must not unmount /boot because that user makes a link to /.
    """
    mountpoint, command = swap
    (entry,) = [each for each in mount_table.entries() if each.mountpoint == str(mountpoint)]
    subprocess.run(["sh", "-c", command], check=True)

    failure = removal.unmount(entry, lazy=True)

    assert removal.Failure(f"{mountpoint} cannot be reached by this path") == failure
    assert 1 == len(mounts_at(home / "roots" / "boot"))
    assert 1 == len(mounts_at(home / "away" / "boot"))


def test_a_covered_mount_is_not_mistaken_for_what_covers_it(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    Its path leads to the upper mount, which somebody else may need.
    """
    served = serve(mountpoint)
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    result = admin.run("unmount", str(served.connection))

    assert 1 == result.exit_status
    expected = f"fusermount-py: {mountpoint} is covered by another mount: unmount that one first\n"
    assert expected == result.stderr.decode()
    assert 2 == len(mounts_at(mountpoint))


def test_force_ends_what_waits_and_unmounts(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    A process that waits for a hung server keeps the mount busy: it must get its error first.
    """
    serve(mountpoint, statfs=None)
    asking = Asking(caller, mountpoint)
    while admin.row(mountpoint)["waiting"] == 0:
        continue

    result = admin.run("unmount", "--force", mountpoint, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert asking.errno() in DISCONNECTED
    assert [] == mounts_at(mountpoint)


def test_all_dead_ones_go_and_living_ones_stay(
    admin: Admin, serve: Serve, caller: User, home: Path
) -> None:
    """
    One line after a crash, and nothing else is lost by it.
    """
    serve(home / "living")
    serve(home / "dead").peer.kill()

    result = admin.run("unmount", "--all", "--dead", user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert ([], 1) == (mounts_at(home / "dead"), len(mounts_at(home / "living")))


def test_another_users_mount_is_refused_with_its_owners_name(
    admin: Admin, serve: Serve, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    "Not found in /etc/mtab" is true to the original, and no help.
    """
    serve(mountpoint)

    result = admin.run("unmount", mountpoint, user=another_user)

    assert 1 == result.exit_status
    assert f"{mountpoint} was mounted by {caller.uid}: only" in result.stderr.decode()
    assert 1 == len(mounts_at(mountpoint))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("{}-typo", "Error: nothing is mounted at {}-typo; did you mean {}?"),
        ("/proc", "Error: /proc is not a FUSE mount: its type is proc"),
        ("999999999", "Error: no FUSE mount here belongs to connection 999999999"),
    ],
)
@pytest.mark.parametrize("verb", ["unmount", "abort"])
def test_a_wrong_name_gets_a_sentence(
    admin: Admin, serve: Serve, mountpoint: Path, verb: str, words: str, sentence: str
) -> None:
    """
    Who mistypes a path wants the right one, not an errno.
    """
    serve(mountpoint)

    result = admin.run(verb, words.format(mountpoint))

    assert 1 == result.exit_status
    assert sentence.format(mountpoint, mountpoint) + "\n" == result.stderr.decode()


def test_an_empty_name_is_not_the_current_directory(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    It is what a script has whose variable was never set.
    """
    serve(mountpoint)
    admin.environment["PYTHONSAFEPATH"] = "1"  # modules are not looked for in there

    result = admin.run("unmount", "", user=caller, preexec_fn=lambda: os.chdir(mountpoint))

    assert (1, b"Error: an empty name is no mountpoint\n") == (result.exit_status, result.stderr)


@pytest.mark.parametrize("words", [[], ["--all"], ["/mnt", "--all", "--dead"], ["--dead"]])
def test_what_would_take_more_than_was_meant_is_a_usage_error(
    admin: Admin, words: list[str]
) -> None:
    """
    An --all that a script ends up with by accident must not take everything.
    """
    assert 2 == admin.run("unmount", *words).exit_status


def test_an_aborted_connection_frees_who_waits_and_leaves_a_dead_mount(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    Processes in an endless wait are what abort is for.
    """
    served = serve(mountpoint, statfs=None)
    asking = Asking(caller, mountpoint)
    while admin.row(mountpoint)["waiting"] == 0:
        continue

    result = admin.run("abort", "--yes", mountpoint, user=caller)

    assert 0 == result.exit_status
    assert asking.errno() in DISCONNECTED
    assert b"1 requests wait" in result.stdout
    assert f"Connection {served.connection} is aborted." in result.stdout.decode()
    assert 1 == len(mounts_at(mountpoint))


def test_without_a_terminal_abort_needs_yes(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    Unwritten data is lost by it: no script does that unasked.
    """
    serve(mountpoint)

    result = admin.run("abort", mountpoint)

    assert 2 == result.exit_status
    assert b"--yes" in result.stderr
    caller.call(os.statvfs, mountpoint)  # is answered


def test_another_users_connection_cannot_be_aborted(
    admin: Admin, serve: Serve, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    The kernel refuses, and the sentence says who may.
    """
    serve(mountpoint)

    result = admin.run("abort", "--yes", mountpoint, user=another_user)

    assert 1 == result.exit_status
    assert b"root may" in result.stderr
    caller.call(os.statvfs, mountpoint)  # is answered
