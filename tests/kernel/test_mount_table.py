"""What the helper learns of mounts: one alone, all of one type, and how long that may take."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fusermount_py.helper.kernel import mount_identity, mount_table
from fusermount_py.helper.mount_entry import Mount
from support import kernel
from support.essential import essential_skip
from support.flows import classic, refused
from support.program import Program
from support.users import User

HELD = os.O_PATH | os.O_NOFOLLOW
KERNEL = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])


@pytest.mark.parametrize("name", ["plain", "a b\tc\n\\040d", "é,=user_id=0 - fuse x", b"\xff\xfe"])
def test_one_mount_alone_is_told_as_in_the_table(
    ours: Program, caller: User, home: Path, name: str | bytes
) -> None:
    """
    Unmounting judges by the first, Linux before 6.11 by the second: the answer must be one.
    """
    path = os.path.join(os.fsencode(home), os.fsencode(name))
    os.mkdir(path)
    os.chown(path, caller.uid, caller.gid)
    result = classic(ours, path, "fsname=a\\,user_id=0,subtype=x", user=caller)
    assert 0 == result.exit_status

    def told() -> tuple[list[object], list[object]]:
        held = os.open(path, HELD)
        alone, line = mount_identity.mount_of(held), mount_identity.entry_of(held)
        assert alone is not None
        assert line is not None
        return (
            [type(alone).__name__, alone.mountpoint, alone.is_fuse, alone.owner, *ids(alone)],
            ["Mount", line.mountpoint, line.is_fuse, line.owner, *ids(line)],
        )

    def ids(mount: Mount) -> tuple[int, int]:
        return mount.id, mount.parent

    alone, line = caller.call(told)
    assert [os.fsdecode(path), True, caller.uid] == line[1:4]
    if KERNEL < (6, 11):
        alone[0] = "Mount"
    assert line == alone


@pytest.mark.parametrize("ending", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_what_ends_a_line_elsewhere_ends_none_of_the_table(
    ours: Program, caller: User, home: Path, ending: str
) -> None:
    """
    One directory with such a name would end every tool that reads the table, root's included.
    """
    path = home / f"a{ending}b"
    path.mkdir()
    os.chown(path, caller.uid, caller.gid)
    assert 0 == classic(ours, path, user=caller).exit_status

    assert str(path) in {entry.mountpoint for entry in mount_table.entries()}


def test_a_mount_that_is_gone_from_the_table_is_no_mount(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Whoever holds a detached mount could otherwise have it judged as if it still stood there.
    """
    assert 0 == classic(ours, mountpoint, user=caller).exit_status
    held = os.open(mountpoint, HELD)
    kernel.umount(mountpoint)

    assert None is mount_identity.mount_of(held)
    os.close(held)


def test_only_fuse_mounts_are_counted_whatever_others_are_called(
    ours: Program, caller: User, home: Path
) -> None:
    """
    A name that counts would let a user fill up mount_max with other mounts, or slip below it.
    """
    before = mount_table.count_fuse()
    for number, source in enumerate((" fuse ", "fuse.x", "a fuse.x /b fuse rw 0 0")):
        path = home / f"{number} fuse.x "
        path.mkdir()
        kernel.mount(source, path, "tmpfs")
    assert before == mount_table.count_fuse()

    for subtype in ("", "subtype=tmpfs"):
        path = home / f"fuse {subtype}"
        path.mkdir()
        os.chown(path, caller.uid, caller.gid)
        assert 0 == classic(ours, path, f"fsname=x fuse y,{subtype}", user=caller).exit_status
    assert before + 2 == mount_table.count_fuse()


def test_a_place_is_kept_for_who_was_promised_it(
    ours: Program, caller: User, home: Path, fuse_conf: Callable[[str], None]
) -> None:
    """
    A sync-init helper has been let pass, and mounts minutes later: nobody may take its place.
    """
    earliest, early, late = (home / name for name in ("earliest", "early", "late"))
    for path in (earliest, early, late):
        path.mkdir()
        os.chown(path, caller.uid, caller.gid)
    assert 0 == classic(ours, earliest, user=caller).exit_status
    fuse_conf(f"mount_max = {mount_table.count_fuse() + 1}\n")
    running = ours.start_sync_init(early, user=caller)
    running.receive_device()

    sentence = "too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf"
    assert refused(sentence) == classic(ours, late, user=caller)
    running.proceed()
    assert 0 == running.read_status()


def test_unmounting_does_not_read_the_whole_table(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Beside 5,000 other mounts that costs more than everything else together.
    """
    if KERNEL < (6, 11):
        essential_skip("needs Linux 6.11, whose statmount tells a mount's options")
    assert 0 == classic(ours, mountpoint, user=caller).exit_status

    command = [ours.path, "-u", "-z", "--", str(mountpoint)]
    trace = ["strace", "-u", f"test{caller.uid}", "-e", "trace=openat,umount2"]
    result = subprocess.run([*trace, *command], capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stderr
    assert "umount2(" in result.stderr
    assert "/proc/self/mount" not in result.stderr
