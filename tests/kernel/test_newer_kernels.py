"""What newer kernels answer otherwise, put into the mouth of this one."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from fusermount_py.helper.kernel.constants import SYS_STATMOUNT
from support.flows import classic, sync_init
from support.foreign_namespace import ForeignNamespace
from support.mount_table import mount_at, mounts_at
from support.program import Program, Result
from support.refuse_ioctl import answer_call
from support.users import ROOT, User

# ENOENT until Linux 6.19, EPERM since 7.0, for a mount of another namespace.
each_answer = pytest.mark.parametrize(
    "error", [errno.ENOENT, errno.EPERM], ids=errno.errorcode.__getitem__
)


def where_statmount_fails(error: int, run: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
    """What `run` returns in a process whose children hear nothing else from statmount."""

    def call() -> tuple[int, bytes]:
        answer_call(SYS_STATMOUNT, error)
        return run()

    return ROOT.call(call)


@each_answer
@pytest.mark.parametrize("flow", [classic, sync_init])
def test_who_hears_of_no_mount_from_statmount_asks_mountinfo(
    ours: Program,
    caller: User,
    mountpoint: Path,
    error: int,
    flow: Callable[..., Result],
) -> None:
    """
    A filter of a container manager's may say EPERM, too, of mounts that are here.
    """

    def mount() -> tuple[int, bytes]:
        result = flow(ours, mountpoint, user=caller)
        return result.exit_status, result.stderr

    def unmount() -> tuple[int, bytes]:
        result = ours.unmount(mountpoint, user=caller)
        return result.exit_status, result.stderr

    assert (0, b"") == where_statmount_fails(error, mount)
    assert "fuse" == mount_at(mountpoint).fstype
    assert (0, b"") == where_statmount_fails(error, unmount)
    assert [] == mounts_at(mountpoint)


@each_answer
def test_a_mount_that_statmount_may_not_tell_of_is_not_here(
    ours: Program, caller: User, mountpoint: Path, error: int
) -> None:
    """
    Whatever the kernel's word for it: a mountpoint of another namespace is none.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:

        def mount() -> tuple[int, bytes]:
            result = ours.mount(foreign.sub, user=caller)
            return result.exit_status, result.stderr

        exit_status, stderr = where_statmount_fails(error, mount)
        foreign.attach()
        landed = foreign.mounted_types()

    assert 1 == exit_status
    assert b"is not in the mount namespace of its user" in stderr
    assert "fuse" not in landed
