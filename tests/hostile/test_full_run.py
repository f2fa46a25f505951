"""
A /run without room, or without the right to write: a small board's, a container's, or one that
somebody has filled. The seats and util-linux's table are kept there.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel
from support.flows import classic, refused, sync_init
from support.mount_table import mounts_at
from support.program import Program, Result
from support.users import User
from support.weakened import Change, Target, against

MS_RDONLY = 0x1
RUN = Path("/run")
SEATS = RUN / "fusermount3.seats"
FOREIGN = "SRC=/dev/sdz1 TARGET=/elsewhere ROOT=/ OPTS=x-gvfs-show\n"


def remount(flags: int, options: str = "") -> None:
    """This run's own /run; what is mounted below is not touched."""
    kernel.mount("tmpfs", RUN, "tmpfs", kernel.MS_REMOUNT | flags, options)


def without_bytes() -> None:
    status = os.statvfs(RUN)
    remount(0, f"size={(status.f_blocks - status.f_bfree) * status.f_frsize}")


def without_inodes() -> None:
    status = os.statvfs(RUN)
    remount(0, f"nr_inodes={status.f_files - status.f_ffree}")


def read_only() -> None:
    remount(kernel.MS_BIND | MS_RDONLY)


@pytest.fixture(params=[without_bytes, without_inodes, read_only], ids=lambda close: close.__name__)
def close_run(request: pytest.FixtureRequest, nothing_left: None) -> Iterator[Callable[[], None]]:
    """To be called when everything stands there that shall."""

    def close() -> None:
        request.param()
        with pytest.raises(OSError, match=r"No space left|Read-only"):
            (RUN / "another").write_bytes(b"more")
        if request.param is without_bytes:
            (RUN / "another").unlink()

    yield close
    remount(kernel.MS_BIND)
    remount(0, "size=50%,nr_inodes=1m")


@pytest.fixture(params=[True, False], ids=["seats", "no seats"])
def seats(request: pytest.FixtureRequest, ours: Program, caller: User) -> None:
    """The seats' file, of an earlier mount; or there never was one."""
    SEATS.unlink(missing_ok=True)
    if request.param:
        ours.unmount("/nowhere", user=caller)
        assert SEATS.exists()


@pytest.mark.parametrize("mount", [classic, sync_init])
def test_it_is_mounted_and_unmounted_all_the_same(
    ours: Program, caller: User, mountpoint: Path, seats: None, fuse_conf: Callable[..., None],
    close_run: Callable[[], None], mount: Callable[..., Result],
) -> None:  # fmt: skip
    """
    A file system that cannot be unmounted because another one is full is a trap.
    """
    fuse_conf("mount_max = 1000\n")
    close_run()

    mounted = mount(ours, mountpoint, user=caller)
    found = len(mounts_at(mountpoint))
    unmounted = ours.unmount(mountpoint, user=caller)

    assert (0, b"", b"", 1) == (*mounted[:3], found)
    assert Result(0, b"", b"") == unmounted


@pytest.mark.parametrize("close_run", [without_inodes, read_only], indirect=True)
@against(
    Change(
        "fusermount_py/helper/kernel/seats.py",
        "    except OSError:\n        return None",
        "    except FileNotFoundError:\n        return None",
    )
)
def test_no_seat_can_be_made(
    target: Target, caller: User, mountpoint: Path, close_run: Callable[[], None]
) -> None:
    """
    Shows that the test above would notice.
    """
    SEATS.unlink(missing_ok=True)
    close_run()

    assert (target.program.mount(mountpoint, user=caller).exit_status == 0) != target.is_weak


def test_mount_max_is_kept_all_the_same(
    ours: Program, caller: User, mountpoint: Path, seats: None, fuse_conf: Callable[..., None],
    close_run: Callable[[], None],
) -> None:  # fmt: skip
    """
    Else whoever fills /run has as many mounts as memory takes.
    """
    fuse_conf("mount_max = 1\n")
    close_run()
    assert 0 == ours.mount(mountpoint, user=caller).exit_status

    result = classic(ours, mountpoint, user=caller)

    sentence = "too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf"
    assert refused(sentence) == result


def test_the_table_loses_nothing(
    ours: Program, caller: User, mountpoint: Path, utab: Path, close_run: Callable[[], None]
) -> None:
    """
    A table that is written anew where there is no room is an empty table; and what a writer leaves
    behind makes the next one fail.
    """
    utab.write_text(FOREIGN)
    utab.with_name("utab.lock").touch()
    close_run()

    mounted = ours.mount(mountpoint, "fsname=demo,x-demo", user=caller)
    during = utab.read_text()
    unmounted = ours.unmount(mountpoint, user=caller)

    assert [(0, b"", b"")] * 2 == [mounted[:3], unmounted[:3]]
    assert during.startswith(FOREIGN)
    assert FOREIGN == utab.read_text()
    assert {"utab", "utab.lock"} == {path.name for path in utab.parent.iterdir()}
