"""Who may unmount what: contract, section 8."""

import os
import stat
from pathlib import Path

import pytest
from compliance.likeness import Outcome, mount_outcome, mounted_by_hand

from support import kernel
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import ROOT, PathLike, User

NOT_FOUND = "entry for {} not found in /etc/mtab"


def unmount_outcome(program: Program, path: PathLike, *flags: str, user: User) -> Outcome:
    return mount_outcome(program, "-u", *flags, "--", path, user=user, comm=None)


@pytest.mark.parametrize("flags", [(), ("-z",), ("-q",), ("-q", "-z")], ids=" ".join)
@pytest.mark.parametrize("name", ["plain", "with space", "with\nline", "x (deleted)", "file"])
def test_an_owner_unmounts_what_is_dead(
    helper: Program, caller: User, furnished: Path, name: str, flags: tuple[str, ...]
) -> None:
    """
    gvfs, portals and people do, when the server has crashed. Silence is part of success.
    """
    kind = stat.S_IFREG if name == "file" else stat.S_IFDIR
    with mounted_by_hand(furnished / name, user=caller, kind=kind):
        outcome = unmount_outcome(helper, furnished / name, *flags, user=caller)

    assert (0, b"", b"") == outcome[:3]
    assert [os.fsencode(furnished / name)] == [mount.mountpoint for mount in outcome.gone]


@pytest.mark.parametrize("owner", ["another", "root"])
def test_what_is_not_the_callers_looks_as_if_it_were_not_there(
    helper: Program, caller: User, another_user: User, mountpoint: Path, owner: str
) -> None:
    """
    Otherwise any user could pull another's files away.
    """
    with mounted_by_hand(mountpoint, user=another_user if owner == "another" else ROOT):
        outcome = unmount_outcome(helper, mountpoint, "-z", user=caller)

    words = f"fusermount3: {NOT_FOUND.format(mountpoint)}\n".encode()
    assert Outcome(1, b"", words) == outcome


def test_a_file_system_that_is_no_fuse_is_not_an_ordinary_callers(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    A disk that root mounted in a home directory stays.
    """
    kernel.mount("tmpfs", mountpoint, "tmpfs", options=f"uid={caller.uid}")

    outcome = unmount_outcome(helper, mountpoint, "-z", user=caller)

    assert f"fusermount3: {NOT_FOUND.format(mountpoint)}\n".encode() == outcome.stderr
    assert (1, ()) == (outcome.exit_status, outcome.gone)


def test_root_unmounts_anything(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    As umount(8) would.
    """
    with mounted_by_hand(mountpoint, user=caller):
        kernel.mount("tmpfs", mountpoint, "tmpfs")
        outcome = unmount_outcome(helper, mountpoint, user=ROOT)

    assert (0, b"", b"") == outcome[:3]
    assert ["tmpfs"] == [mount.fstype for mount in outcome.gone]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plain", NOT_FOUND),
        ("missing", NOT_FOUND),
        ("missing/x", "bad mount point {}: No such file or directory"),
        ("file/x", NOT_FOUND),
        ("link", NOT_FOUND),
        ("forbidden/plain", NOT_FOUND),
        ("dangling/x", "bad mount point {}: No such file or directory"),
        ("loop/x", "bad mount point {}: Too many levels of symbolic links"),
    ],
)
def test_where_nothing_is_mounted(
    helper: Program, caller: User, furnished: Path, path: str, message: str
) -> None:
    """
    Nothing is looked up that would tell what lies below another's directory.
    """
    outcome = unmount_outcome(helper, furnished / path, user=caller)

    words = f"fusermount3: {message.format(furnished / path)}\n".encode()
    assert Outcome(1, b"", words) == outcome


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plain", "Invalid argument"),
        ("missing", "No such file or directory"),
    ],
)
def test_root_hears_what_the_kernel_says(
    helper: Program, furnished: Path, path: str, message: str
) -> None:
    """
    For root nothing is judged before; umount2's own errno says why.
    """
    outcome = unmount_outcome(helper, furnished / path, user=ROOT)

    words = f"fusermount3: failed to unmount {furnished / path}: {message}\n".encode()
    assert Outcome(1, b"", words) == outcome


@pytest.mark.parametrize("flags", [(), ("-z",)], ids=["plain", "lazy"])
@pytest.mark.parametrize("path", ["plain", "link"])
def test_root_hears_that_nothing_is_mounted_there_whatever_is_beside(
    helper: Program, caller: User, furnished: Path, path: str, flags: tuple[str, ...]
) -> None:
    """
    Neither the file system around it is meant, which is busy, nor what a symlink leads to.
    """
    (furnished / "link").unlink()
    (furnished / "link").symlink_to("with space")

    with mounted_by_hand(furnished / "with space", user=caller):
        outcome = unmount_outcome(helper, furnished / path, *flags, user=ROOT)

    words = f"fusermount3: failed to unmount {furnished / path}: Invalid argument\n".encode()
    assert Outcome(1, b"", words) == outcome


def test_a_busy_mount_stays_unless_it_is_lazy(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    An open file's writer must not lose it by an ordinary unmount.
    """
    with mounted_by_hand(mountpoint, user=caller):
        held = os.open(mountpoint, os.O_PATH)
        busy = helper.unmount(mountpoint, user=caller)
        still_there = mounts_at(mountpoint)
        lazy = unmount_outcome(helper, mountpoint, "-z", user=caller)
        os.close(held)

    words = f"fusermount3: failed to unmount {mountpoint}: Device or resource busy\n".encode()
    assert (1, b"", words) == busy[:3]
    assert 1 == len(still_there)
    assert (0, b"", b"") == lazy[:3]


def test_a_hung_server_does_not_keep_its_mount(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    It is what fusermount3 -uz is most often typed for.
    """
    device = helper.mount(mountpoint, user=caller).device
    assert device is not None
    helper.serve(device).stop()

    assert (0, b"", b"") == helper.unmount(mountpoint, "-z", user=caller)[:3]
    assert [] == mounts_at(mountpoint)


def test_what_another_has_stacked_on_ones_own_mount_is_not_taken_by_ours(
    theirs: Program, ours: Program, caller: User, furnished: Path
) -> None:
    """
    Theirs judges the first mount at the path and takes the last: root's, here.
    """
    seen = []
    for program in (theirs, ours):
        with mounted_by_hand(furnished / "plain", user=caller):
            kernel.mount("roots", furnished / "plain", "tmpfs")
            seen.append(unmount_outcome(program, furnished / "plain", user=caller))

    assert [(0, ["tmpfs"]), (1, [])] == [
        (outcome.exit_status, [mount.fstype for mount in outcome.gone]) for outcome in seen
    ]
    words = f"fusermount3: {NOT_FOUND.format(furnished / 'plain')}\n"
    assert words.encode() == seen[1].stderr


def test_through_a_symlink_in_the_last_place_nothing_is_unmounted(
    helper: Program, caller: User, furnished: Path
) -> None:
    """
    Who swaps a directory for a link must not choose what is unmounted.
    """
    with mounted_by_hand(furnished / "plain", user=caller):
        outcome = unmount_outcome(helper, furnished / "link", user=caller)

    words = f"fusermount3: {NOT_FOUND.format(furnished / 'link')}\n".encode()
    assert Outcome(1, b"", words) == outcome


def test_what_one_made_the_other_unmounts(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A package is replaced while file systems are mounted.
    """
    for maker, taker in ((theirs, ours), (ours, theirs)):
        assert 0 == maker.mount(mountpoint, "subtype=demo", user=caller).exit_status
        assert "fuse.demo" == mount_at(mountpoint).fstype
        assert (0, b"", b"") == taker.unmount(mountpoint, user=caller)[:3]


def test_only_theirs_needs_the_callers_name(
    theirs: Program, ours: Program, mountpoint: Path
) -> None:
    """
    Containers and directory services have users that /etc/passwd does not know; and name services
    are a lot of code to run in a setuid program.
    """
    nameless = User(61999, 61999)
    seen = []
    for program in (theirs, ours):
        with mounted_by_hand(mountpoint, user=nameless):
            seen.append(unmount_outcome(program, mountpoint, user=nameless)[:3])

    assert [(1, b"", b"fusermount3: could not determine username\n"), (0, b"", b"")] == seen


@pytest.mark.parametrize("behind", ["../mountpoint", "."])
def test_a_path_through_the_mount_itself_works_with_ours_only(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, behind: str
) -> None:
    """
    Theirs looks it up with root's ids, which FUSE does not let in.
    """
    path = f"{mountpoint}/{behind}"
    seen = []
    for program in (theirs, ours):
        with mounted_by_hand(mountpoint, user=caller):
            seen.append(unmount_outcome(program, path, user=caller)[:3])

    words = f"fusermount3: bad mount point {path}: Permission denied\n".encode()
    assert [(1, b"", words), (0, b"", b"")] == seen
