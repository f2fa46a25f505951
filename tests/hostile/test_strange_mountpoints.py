"""
Mountpoints that are the caller's in unusual ways: by a list, by a map, in a layer of an overlay.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.flows import classic, refused
from support.mount_table import mount_at, mounts_at
from support.program import Program, Result
from support.strange_rights import FS_CASEFOLD_FL, set_acl, set_flags, show_with_mapped_ids
from support.users import ANOTHER_USER, CALLER, User

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 21, 0, 0, 0)  # CAP_SYS_ADMIN, linux/capability.h


@pytest.fixture
def place(home: Path) -> Path:
    """Root's directory; by its mode everybody may write into it."""
    place = home / "place"
    place.mkdir()
    place.chmod(0o777)
    return place


def a_list_that_allows(place: Path) -> Path:
    place.chmod(0o700)
    set_acl(place, CALLER, 7, other=0)
    return place


def ids_with_a_map(place: Path) -> Path:
    """Another's on the disk, and the caller's as seen here, as where homes are carried about."""
    place.chmod(0o1700)
    os.chown(place, ANOTHER_USER.uid, ANOTHER_USER.gid)
    show_with_mapped_ids(place, place, ANOTHER_USER.uid, CALLER.uid)
    return place


def overlaid(place: Path, layer: str) -> Path:
    """A directory that lies in one layer of an overlay, or in both."""
    for name in ("lower", "upper", "work"):
        (place.parent / name).mkdir()
    for name in ("lower", "upper"):
        if layer in (name, "both"):
            (place.parent / name / "inside").mkdir()
            os.chown(place.parent / name / "inside", CALLER.uid, CALLER.gid)
    words = [f"{name}dir={place.parent / name}" for name in ("lower", "upper", "work")]
    kernel.mount("overlay", place, "overlay", options=",".join(words))
    return place / "inside"


@pytest.mark.parametrize(
    "prepare",
    [
        a_list_that_allows,
        ids_with_a_map,
        *(
            lambda place, layer=layer: overlaid(place, layer)
            for layer in ("lower", "upper", "both")
        ),
    ],
    ids=["a list", "a map", "lower", "upper", "both"],
)
def test_where_the_kernel_says_yes_it_is_mounted_and_taken_away(
    ours: Program, caller: User, place: Path, prepare: Callable[[Path], Path]
) -> None:
    """
    Homes on overlays, with lists or with mapped ids are homes.
    """
    mountpoint = prepare(place)

    mounted = ours.mount(mountpoint, "fsname=demo", user=caller)
    found = mounts_at(mountpoint)[-1:]
    unmounted = ours.unmount(mountpoint, user=caller)

    assert (0, b"", b"") == mounted[:3]
    assert [b"demo"] == [entry.source for entry in found]
    assert Result(0, b"", b"") == unmounted
    assert not any(entry.source == b"demo" for entry in mounts_at(mountpoint))


def test_a_map_does_not_make_anyone_owner_of_anothers_sticky_directory(
    ours: Program, caller: User, place: Path
) -> None:
    """
    The caller's on the disk; as seen here, another's: /tmp of a container that root carries about.
    """
    place.chmod(0o1777)
    os.chown(place, CALLER.uid, CALLER.gid)
    show_with_mapped_ids(place, place, CALLER.uid, ANOTHER_USER.uid)

    result = classic(ours, place, user=caller)

    assert refused(f"mountpoint {place} not owned by user") == result


def test_a_mount_over_a_file_takes_nothing_from_it(
    ours: Program, caller: User, place: Path
) -> None:
    """
    The kernel takes a file's capabilities, and its setuid bit, away from who writes to it. To ask
    whether the caller may write is not to write.
    """
    file = place / "tool"
    file.write_bytes(b"#!")
    os.chown(file, caller.uid, caller.gid)
    file.chmod(0o6755)
    os.setxattr(file, "security.capability", CAPABILITY)
    before = file.stat()

    assert (0, b"", b"") == ours.mount(file, "fsname=demo", user=caller)[:3]
    assert b"demo" == mount_at(file).source
    assert Result(0, b"", b"") == ours.unmount(file, user=caller)

    after = file.stat()
    assert CAPABILITY == os.getxattr(file, "security.capability")
    assert (before.st_mode, before.st_mtime_ns, 2) == (
        after.st_mode, after.st_mtime_ns, after.st_size,
    )  # fmt: skip
    file.unlink()


def test_names_of_either_case_are_one_mountpoint(
    ours: Program, caller: User, another_user: User, place: Path
) -> None:
    """
    Where two words are one name, neither takes what is another's, nor leaves half of one's own.
    """
    try:
        kernel.mount("tmpfs", place, "tmpfs", options="mode=0777,casefold")
    except OSError as error:
        pytest.skip(f"needs casefolded directories (Linux 6.13, CONFIG_UNICODE): {error}")
    folder = place / "folder"
    folder.mkdir()
    set_flags(folder, FS_CASEFOLD_FL)
    mountpoint, other_word = folder / "mountpoint", folder / "MountPoint"
    mountpoint.mkdir()
    mountpoint.chmod(0o777)

    assert 0 == ours.mount(other_word, "fsname=demo", user=caller).exit_status
    for word in (mountpoint, other_word):
        assert 1 == ours.unmount(word, user=another_user).exit_status
    for word in (mountpoint, other_word):
        result = ours.unmount(word, user=caller)
        assert result.exit_status == result.stderr.count(b"\n")

    assert b"demo" not in Path("/proc/self/mounts").read_bytes()
