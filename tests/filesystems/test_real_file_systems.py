"""File systems nobody here wrote, mounted and unmounted by ordinary users through our helper."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filesystems.catalogue import BINDFS, FILE_SYSTEMS, SSHFS, FileSystem, run, run_well, source
from filesystems.conftest import InPlace

from support import kernel, leaks
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import ROOT, User

each_file_system = pytest.mark.parametrize("system", FILE_SYSTEMS, ids=lambda system: system.name)
each_libfuse = pytest.mark.parametrize("system", [SSHFS, BINDFS], ids=["libfuse 3", "libfuse 2"])


@pytest.fixture
def served(system: FileSystem, home: Path, mountpoint: Path, caller: User) -> Path:
    """The mountpoint, with the file system on it."""
    words = caller.call(system.prepare, home, mountpoint)
    run_well(words, caller, home)
    return mountpoint


@each_file_system
def test_it_mounts_reads_writes_and_unmounts_in_its_own_way(
    system: FileSystem, served: Path, in_place: InPlace, home: Path, caller: User
) -> None:
    """
    A library's way of calling is the contract, whatever the man page says.
    """
    assert in_place.has_run()
    entry = mount_at(served)
    assert system.fstype == entry.fstype
    assert {"nosuid", "nodev"} <= entry.attributes
    assert {f"user_id={caller.uid}", f"group_id={caller.gid}"} <= entry.options
    assert b"hello\n" == caller.call((served / "greeting").read_bytes)
    if system.writes:
        caller.call((served / "note").write_bytes, b"written\n")
        assert b"written\n" == caller.call((served / "note").read_bytes)
    assert not in_place.has_run()

    system.unmount(served, caller)

    assert [] == leaks.processes_left()
    assert in_place.has_run()
    assert [] == mounts_at(served)
    if system.keeps:
        assert b"written\n" == (home / system.keeps).read_bytes()


@each_file_system
def test_the_mount_table_tells_of_it_what_debians_helper_would(
    system: FileSystem, in_place: InPlace, home: Path, mountpoint: Path, caller: User
) -> None:
    """
    Scripts and desktops read that line: type, source, mount attributes, superblock options.
    """
    words = caller.call(system.prepare, home, mountpoint)

    def line() -> tuple[object, ...]:
        run_well(words, caller, home)
        entry = mount_at(mountpoint)
        kernel.umount(mountpoint)
        assert [] == leaks.processes_left()
        return entry.root, entry.attributes, entry.fstype, entry.source, entry.options

    ours = line()
    assert in_place.has_run()
    in_place.give_way()
    theirs = line()
    assert not in_place.has_run()

    assert theirs == ours


@each_file_system
def test_its_owner_may_take_it_with_plain_umount(
    system: FileSystem, served: Path, home: Path, caller: User
) -> None:
    """
    util-linux lets the owner unmount by the `user_id` and the type that our mount shows.
    """
    run_well(["umount", served], caller, home)

    assert [] == leaks.processes_left()
    assert [] == mounts_at(served)


@each_libfuse
def test_what_a_killed_server_leaves_is_unmounted_when_it_asked_for_that(
    system: FileSystem, in_place: InPlace, home: Path, mountpoint: Path, caller: User
) -> None:
    """
    Both libraries hold the comm socket open for as long as they live, each in its own way.
    """
    words = caller.call(system.prepare, home, mountpoint)
    run_well([*words, "-o", "auto_unmount"], caller, home)
    mount_at(mountpoint)
    assert in_place.has_run()

    server = {os.readlink(f"/proc/{pid}/exe"): pid for pid in leaks.children()}
    os.kill(server[f"/usr/bin/{system.name}"], signal.SIGKILL)

    assert [] == leaks.processes_left()
    assert in_place.has_run()
    assert [] == mounts_at(mountpoint)


def test_a_refusal_reaches_the_user_through_the_library(
    in_place: InPlace, home: Path, mountpoint: Path, caller: User
) -> None:
    """
    The library says nothing of its own about it: our sentence is all that its user gets to see.
    """
    words = caller.call(SSHFS.prepare, home, mountpoint)

    result = run([*words, "-o", "allow_other"], caller, home)

    assert 1 == result.exit_status
    assert (
        b"fusermount3: option allow_other only allowed if 'user_allow_other' is set"
        b" in /etc/fuse.conf\n"
    ) == result.stderr
    assert in_place.has_run()
    assert [] == mounts_at(mountpoint)


@each_libfuse
def test_others_may_look_in_where_the_administrator_lets_them(
    system: FileSystem,
    fuse_conf: Callable[[str], None],
    home: Path,
    mountpoint: Path,
    caller: User,
    another_user: User,
) -> None:
    """
    Both libraries pass `allow_other` on, and must get the mount they asked for.
    """
    fuse_conf("user_allow_other\n")
    words = caller.call(system.prepare, home, mountpoint)
    run_well([*words, "-o", "allow_other"], caller, home)

    assert "allow_other" in mount_at(mountpoint).options
    assert b"hello\n" == another_user.call((mountpoint / "greeting").read_bytes)


def test_root_mounts_with_mount_and_unmounts_with_fusermount3(
    in_place: InPlace, home: Path, mountpoint: Path
) -> None:
    """
    This is how /etc/fstab mounts: root's library needs the helper for the guard and the end.
    """
    *options, served, target = SSHFS.prepare(home, mountpoint)[1:]
    run_well(
        ["mount", "-t", "fuse.sshfs", *options, "-o", "auto_unmount", served, target], ROOT, home
    )
    assert "fuse.sshfs" == mount_at(mountpoint).fstype
    assert b"hello\n" == (mountpoint / "greeting").read_bytes()
    assert in_place.has_run()

    run_well(["fusermount3", "-u", mountpoint], ROOT, home)

    assert [] == leaks.processes_left()
    assert in_place.has_run()
    assert [] == mounts_at(mountpoint)


def test_what_mount_recorded_is_erased_by_fusermount3(
    in_place: InPlace, utab: Path, home: Path, mountpoint: Path
) -> None:
    """
    A line that stayed would hide the next mount there from file managers.
    """
    words = ["mount", "-t", "fuse.sshfs", *SSHFS.prepare(home, mountpoint)[1:]]
    run_well([*words, "-o", "x-gvfs-hide"], ROOT, home)
    assert "OPTS=x-gvfs-hide" in utab.read_text(encoding="ascii")

    run_well(["fusermount3", "-u", mountpoint], ROOT, home)

    assert in_place.has_run()
    assert "" == utab.read_text(encoding="ascii")


def test_what_ours_recorded_is_erased_by_umount(
    ours: Program, utab: Path, home: Path, mountpoint: Path, caller: User
) -> None:
    """
    The record must be one that util-linux knows for its own. (No library of Debian 12 passes
    `x-` options on.)
    """
    assert 0 == ours.mount(mountpoint, "x-gvfs-hide", user=caller).exit_status
    assert "OPTS=x-gvfs-hide" in utab.read_text(encoding="ascii")

    run_well(["umount", mountpoint], caller, home)

    assert [] == mounts_at(mountpoint)
    assert "" == utab.read_text(encoding="ascii")


def test_root_mounts_for_a_user_with_mount(
    in_place: InPlace, home: Path, mountpoint: Path, caller: User
) -> None:
    """
    `setuid=` in /etc/fstab: mount.fuse3 becomes that user, whose library then calls the helper.
    """
    caller.call(source, home)
    options = f"setuid=test{caller.uid},no-allow-other"

    run_well(
        ["mount", "-t", "fuse", "-o", options, f"bindfs#{home}/source", mountpoint], ROOT, home
    )

    assert in_place.has_run()
    assert f"user_id={caller.uid}" in mount_at(mountpoint).options
    assert b"hello\n" == caller.call((mountpoint / "greeting").read_bytes)
