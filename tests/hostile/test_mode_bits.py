"""
Mountpoints about which the mode bits say one thing, and the kernel another.

Access lists, mapped ids, immutable directories, overlays: what may be done is asked of the kernel,
as the caller, on the held mountpoint. Nothing here computes it from owner and mode.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, leaks
from support.flows import classic, refused
from support.mount_table import mounts_at
from support.strange_rights import FS_IMMUTABLE_FL, set_acl, set_flags, show_with_mapped_ids
from support.users import ANOTHER_USER, CALLER, User
from support.weakened import Change, Target, against

MS_RDONLY = 0x1


def a_list_that_denies(place: Path) -> None:
    """Everybody may write here, but the caller."""
    set_acl(place, CALLER, 5)


def a_mask_that_denies(place: Path) -> None:
    """The caller is named, and the mask takes away what the name gives."""
    set_acl(place, CALLER, 7, mask=5)


def ids_without_a_map(place: Path) -> None:
    """The caller's own on the disk; as seen here, it has no owner, and then nobody may write."""
    os.chown(place, CALLER.uid, CALLER.gid)
    show_with_mapped_ids(place, place, ANOTHER_USER.uid, CALLER.uid)


def immutable(place: Path) -> None:
    os.chown(place, CALLER.uid, CALLER.gid)
    try:
        set_flags(place, FS_IMMUTABLE_FL)
    except OSError as error:
        pytest.skip(f"needs a file system with chattr +i: {error}")


def a_read_only_mount(place: Path) -> None:
    os.chown(place, CALLER.uid, CALLER.gid)
    kernel.mount(place, place, flags=kernel.MS_BIND)
    kernel.mount("", place, flags=kernel.MS_REMOUNT | kernel.MS_BIND | MS_RDONLY)


def a_lower_layer_alone(place: Path) -> None:
    """An overlay without an upper layer is read-only."""
    layers = [place.parent / name for name in ("one", "two")]
    for layer in layers:
        layer.mkdir()
        layer.chmod(0o777)
        os.chown(layer, CALLER.uid, CALLER.gid)
    kernel.mount("overlay", place, "overlay", options=f"lowerdir={layers[0]}:{layers[1]}")


@pytest.fixture
def place(home: Path) -> Iterator[Path]:
    """Root's directory; by its mode everybody may write into it."""
    place = home / "place"
    place.mkdir()
    place.chmod(0o777)
    yield place
    leaks.take_mounts_below_scratch()
    with contextlib.suppress(OSError):  # not every file system has any
        set_flags(place, 0)


@against(
    Change(
        "fusermount_py/helper/kernel/mountpoint.py",
        "return posix.access(pinned.magic_link, posix.W_OK)",
        "return bool(pinned.mode & 0o002)",
    )
)
@pytest.mark.parametrize(
    "prepare",
    [
        a_list_that_denies, a_mask_that_denies, ids_without_a_map, immutable, a_read_only_mount,
        a_lower_layer_alone,
    ],
)  # fmt: skip
def test_where_the_kernel_says_no_the_mode_bits_do_not_count(
    target: Target, caller: User, place: Path, prepare: Callable[[Path], None]
) -> None:
    """
    Else a user covers what an administrator has closed to this user alone.
    """
    prepare(place)
    assert 0o777 == place.stat().st_mode & 0o777 or prepare is a_mask_that_denies
    before = mounts_at(place)

    result = classic(target.program, place, user=caller)

    if not target.is_weak:
        assert refused(f"user has no write access to mountpoint {place}") == result
    assert len(mounts_at(place)) - len(before) == target.is_weak
