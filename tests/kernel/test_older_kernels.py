"""
What only older kernels do, forced on this one by strace.

Under a kernel that is older indeed (make -C packaging test-kernels) the same tests show that it
does what strace pretends.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import kernel
from support.flows import sync_init, until
from support.injected import Injected
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import ROOT, User

# As strace is told them: which call answers how.
NO_FS_CONTEXT = "fsopen:error=ENOSYS"  # before Linux 5.2, and in sandboxes
NO_UNIQUE_ID = "statx:poke_exit=@arg5=ff170000"  # before Linux 6.8: not in the mask of answers
NO_STATX = "statx:error=ENOSYS"  # in sandboxes
NO_SUBTYPE = "mount:error=ENODEV:when=1"  # the type with a dot is unknown

LACKING = {
    "this kernel": (),
    "no fs context": (NO_FS_CONTEXT,),
    "no unique mount id": (NO_UNIQUE_ID,),
    "no statx": (NO_STATX,),
    "neither": (NO_FS_CONTEXT, NO_STATX),
}
each_kernel = pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
without_fs_context = pytest.mark.parametrize("lacking", [(NO_FS_CONTEXT,)], ids=[""])


@pytest.fixture
def older(ours: Program, lacking: tuple[str, ...]) -> Iterator[Program]:
    program = Injected(ours, lacking) if lacking else ours
    yield program
    program.clean_up()


@each_kernel
def test_a_mount_is_the_same_and_its_owner_takes_it(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    What a user gets must not depend on which interface the kernel has.
    """
    options = "fsname=old,subtype=kernel,ro,noexec,default_permissions,max_read=8192"
    result = older.mount(mountpoint, options, user=caller)
    assert (0, b"") == (result.exit_status, result.stderr)
    assert result.device is not None
    older.serve(result.device)

    assert 2 == caller.call(os.stat, mountpoint).st_nlink
    entry = mount_at(mountpoint)
    assert ("fuse.kernel", b"old") == (entry.fstype, entry.source)
    assert {"ro", "nosuid", "nodev", "noexec", "relatime"} == entry.attributes
    ids = {f"user_id={caller.uid}", f"group_id={caller.gid}"}
    assert ids | {"ro", "default_permissions", "max_read=8192"} == entry.options

    result = older.unmount(mountpoint, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert [] == mounts_at(mountpoint)


@each_kernel
def test_a_server_that_asks_for_synchronous_init_is_mounted(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    Before Linux 6.18 the ioctl fails; libfuse goes on, and so must the mount.
    """
    running = older.start_sync_init(mountpoint, "fsname=old", user=caller)
    device = running.receive_device()
    armed = kernel.arm_sync_init(device)
    if armed:
        older.serve(device)
    running.proceed()

    assert 0 == running.read_status()
    assert 0 == running.wait().exit_status
    if not armed:  # until the mount is there, a read of such a device fails, which ends a server
        older.serve(device)
    assert 2 == caller.call(os.stat, mountpoint).st_nlink


@each_kernel
@pytest.mark.parametrize("options", ["fsname=old", f"fsname={'long' * 70}"], ids=["", "long"])
def test_roots_symlink_is_followed(
    older: Program, home: Path, mountpoint: Path, options: str
) -> None:
    """
    Where a name is looked up once more to find the mount, it is the name of what it led to.
    """
    link = home / "link"
    link.symlink_to(mountpoint)

    result = older.mount(link, options, user=ROOT)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert 1 == len(mounts_at(mountpoint))


@each_kernel
def test_a_killed_servers_mount_goes(
    older: Program, lacking: tuple[str, ...], caller: User, mountpoint: Path
) -> None:
    """
    Without a unique mount id the guard knows the mount by its id in the table.
    """
    running = older.start("-o", "auto_unmount", "--", mountpoint, user=caller)
    device = running.receive_device()
    command = Path(f"/proc/{running.process.pid}/cmdline")
    until(lambda: b"guard" in command.read_bytes(), "the helper becomes the guard")
    if {NO_UNIQUE_ID, NO_STATX} & set(lacking):
        identity = command.read_bytes().split(b"\0")[4]
        assert mount_at(mountpoint).mount_id == int(identity)

    device.close()
    running.comm.close()

    assert (0, b"", b"") == running.wait()[:3]
    assert [] == mounts_at(mountpoint)


@each_kernel
def test_a_value_the_kernel_refuses_leaves_nothing(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    The helper leaves numbers to the kernel, so each interface must say no.
    """
    result = older.mount(mountpoint, "max_read=abc", user=caller)

    assert 1 == result.exit_status
    assert b"mount failed: Invalid argument" in result.stderr
    assert [] == mounts_at(mountpoint)


@without_fs_context
def test_what_only_mount_2_can_refuse_is_told_by_the_status(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    There nothing checks the value before the device is sent, and a client waits for its status.
    """
    running = older.start_sync_init(mountpoint, "max_read=abc", user=caller)
    running.receive_device()
    running.proceed()

    assert -errno.EINVAL == running.read_status()
    assert 1 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


@each_kernel
def test_what_was_judged_is_what_is_covered(
    older: Program, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    Each interface mounts on the inode that is held, and asks for no name again.
    """
    victim = home / "victim"
    victim.mkdir()
    running = older.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    mountpoint.rename(home / "moved")
    mountpoint.symlink_to(victim)
    running.proceed()

    running.wait()
    assert [] == mounts_at(victim)
    mountpoint.unlink()


@each_kernel
def test_a_client_that_hangs_up_right_after_proceed_has_no_mount(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    Where mount(2) both makes and shows it, the helper takes it back.
    """
    endings = set()
    for _ in range(5):
        running = older.start_sync_init(mountpoint, user=caller)
        device = running.receive_device()
        running.proceed()
        running.comm.close()
        device.close()

        endings.add(running.wait().exit_status)
        if running.process.returncode == 0:  # it was faster than the client
            older.unmount(mountpoint, "-z", user=caller)
        assert [] == mounts_at(mountpoint)
    assert 1 in endings


@pytest.mark.parametrize("lacking", [(NO_FS_CONTEXT, NO_SUBTYPE)], ids=[""])
def test_a_kernel_without_subtypes_shows_the_subtype_in_the_source(
    older: Program, caller: User, mountpoint: Path
) -> None:
    """
    Otherwise every file system with a subtype would be refused there.
    """
    result = sync_init(older, mountpoint, "fsname=old,subtype=kernel", user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    entry = mount_at(mountpoint)
    assert ("fuse", b"kernel#old") == (entry.fstype, entry.source)
