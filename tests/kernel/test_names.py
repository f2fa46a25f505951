"""Mountpoints by every name a directory can have (contract, section 6.1)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import refused, said
from support.mount_table import mount_at, mounts_at, mounts_below
from support.program import Program, Result
from support.users import ROOT, User

Mount = Callable[..., Result]
SUCCESS = Result(0, b"", b"")


def make_directory(path: bytes | Path, user: User) -> None:
    os.mkdir(path)
    os.chown(path, user.uid, user.gid)


@pytest.mark.parametrize(
    "name",
    [
        b" ", b"with space", b"tab\tnewline\nreturn\r", b"back\\slash\\040", b'comma,quote"', b"#",
        b"caf\xc3\xa9", b"latin caf\xe9", b"\xff\xfe", b"x (deleted)", b"-u", b"--",
        b"a\n1 1 0:1 x y rw - fuse x rw", b"n" * 255,
    ],
)  # fmt: skip
def test_a_name_is_any_bytes(
    ours: Program, mount: Mount, caller: User, home: Path, name: bytes
) -> None:
    """
    The table shows it, and unmounting finds it again, whatever it looks like.
    """
    path = os.fsencode(home) + b"/" + name
    make_directory(path, caller)

    assert (0, b"") == mount(path, user=caller)[::2]
    assert path == mount_at(path).mountpoint
    assert SUCCESS == ours.unmount(path, user=caller)
    assert [] == mounts_below(home)


@pytest.mark.parametrize(
    "words",
    [
        "HOME/mountpoint/", "HOME/mountpoint///", "HOME//mountpoint", "HOME/./mountpoint",
        "HOME/mountpoint/.", "HOME/mountpoint/./", "HOME/mountpoint/inside/..",
        "HOME/mountpoint/inside/../", "HOME/mountpoint/../mountpoint", "//HOME/mountpoint",
        "HOME/link/mountpoint", "HOME/link/mountpoint/", "HOME/link/../HOME_NAME/mountpoint",
        "mountpoint", "./mountpoint", "mountpoint/", "mountpoint/.", "link/mountpoint",
        "../HOME_NAME/mountpoint",
    ],
)  # fmt: skip
def test_many_words_name_the_same_mountpoint(
    ours: Program, mount: Mount, caller: User, home: Path, mountpoint: Path, words: str
) -> None:
    """
    The table shows the canonical path; each of the words finds the mount again.
    """
    make_directory(mountpoint / "inside", caller)
    (home / "link").symlink_to(".")
    path = words.replace("HOME_NAME", home.name).replace("HOME", str(home))

    assert (0, b"") == mount(path, user=caller, cwd=home)[::2]
    assert mount_at(mountpoint)
    if not words.rstrip("/").endswith("."):
        assert SUCCESS == ours.unmount(path, user=caller, cwd=home)
        assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("words", [".", "./", "inside/..", "../mountpoint"])
def test_the_current_directory_is_a_mountpoint(
    mount: Mount, caller: User, mountpoint: Path, words: str
) -> None:
    """
    Resolved whole: the last component of the path is not a dot.
    """
    make_directory(mountpoint / "inside", caller)

    assert (0, b"") == mount(words, user=caller, cwd=mountpoint)[::2]
    assert mount_at(mountpoint)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("missing/mountpoint", "No such file or directory"),
        ("missing/..", "No such file or directory"),
        ("file/.", "Not a directory"),
        ("loop/mountpoint", "Too many levels of symbolic links"),
        ("n" * 256 + "/mountpoint", "File name too long"),
        ("a/" * 3000, "File name too long"),
    ],
    ids=lambda text: text[:20],
)
def test_a_path_that_leads_nowhere_is_a_bad_mount_point(
    mount: Mount, caller: User, home: Path, words: str, reason: str
) -> None:
    """
    In the kernel's words, which are what the caller would get alone.
    """
    (home / "file").touch()
    (home / "loop").symlink_to("loop")

    sentence = f"bad mount point {words}: {reason}"
    assert refused(sentence) == mount(words, user=caller, cwd=home)


def test_control_characters_of_a_name_are_not_printed(
    mount: Mount, caller: User, home: Path
) -> None:
    """
    A message is one line, and no terminal escape gets into a log by a directory's name.
    """
    result = mount(home / "a\nb\x1b[2Jc" / "d", user=caller)

    sentence = f"bad mount point {home}/a\\012b\\033[2Jc/d: No such file or directory"
    assert refused(sentence) == result


def test_a_message_repeats_the_bytes_of_a_name(mount: Mount, caller: User, home: Path) -> None:
    """
    A name in another encoding is still the caller's word for it.
    """
    path = os.fsencode(home) + b"/caf\xe9"

    result = mount(path, user=caller)

    sentence = b"failed to access mountpoint " + path + b": No such file or directory"
    assert b"fusermount3: " + sentence + b"\n" == result.stderr


@pytest.mark.parametrize("words", ["mountpoint", ".", "./mountpoint"])
def test_a_deleted_current_directory_leads_nowhere(
    mount: Mount, caller: User, home: Path, words: str
) -> None:
    """
    Its name may by now be another's directory (CVE-2011-0542).
    """
    place = home / "place"
    make_directory(place, caller)

    def delete() -> None:
        os.rmdir(place)

    result = mount(words, user=caller, cwd=place, preexec_fn=delete)

    assert refused(f"bad mount point {words}: No such file or directory") == result
    assert [] == mounts_below(home)


@pytest.mark.parametrize("layout", ["x (deleted)/mountpoint", "x (deleted)"])
def test_a_directory_may_be_called_deleted(
    mount: Mount, caller: User, home: Path, layout: str
) -> None:
    """
    The kernel marks a deleted name with the same letters (util-linux CVE-2021-3996).
    """
    (home / layout).mkdir(parents=True)
    os.chown(home / layout, caller.uid, caller.gid)

    assert 0 == mount(home / layout / ".", user=caller).exit_status
    assert mount_at(home / layout)


@pytest.mark.parametrize("depth", [10, 20])
def test_a_path_may_be_longer_than_a_page(
    ours: Program, caller: User, home: Path, depth: int
) -> None:
    """
    Below PATH_MAX it is mounted; above, where no path can name it, it is refused in words.
    """
    folder = os.open(home, os.O_PATH)
    for _ in range(depth):
        os.mkdir("d" * 240, dir_fd=folder)
        deeper = os.open("d" * 240, os.O_PATH, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.mkdir("mountpoint", dir_fd=folder)
    os.chown("mountpoint", caller.uid, caller.gid, dir_fd=folder)
    mountpoint = "/".join([str(home), *["d" * 240] * depth, "mountpoint"])

    result = ours.mount("mountpoint", user=caller, preexec_fn=lambda: os.fchdir(folder))

    os.close(folder)
    if depth == 10:
        assert (0, b"") == (result.exit_status, result.stderr)
        assert mount_at(mountpoint)
        # Its path is compared, whole, with what the mount table says of it.
        assert SUCCESS == ours.unmount(mountpoint, user=caller)
        assert [] == mounts_below(home)
    else:
        assert said("bad mount point mountpoint: File name too long") == result.stderr
        assert [] == mounts_below(home)


def test_a_symlink_to_a_mountpoint_is_none(
    mount: Mount, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    With a slash behind it, it is still the last component.
    """
    link = home / "link"
    link.symlink_to(mountpoint)

    for words in (str(link), f"{link}/"):
        sentence = f"mountpoint {link} is not a directory or a regular file"
        assert refused(sentence) == mount(words, user=caller)


def test_roots_symlink_is_followed_to_mount_and_not_to_unmount(
    ours: Program, mount: Mount, home: Path, mountpoint: Path
) -> None:
    """
    As libfuse's program does. What is unmounted is never chosen by whoever can put a link there.
    """
    link = home / "link"
    link.symlink_to(mountpoint.name)

    assert (0, b"") == mount(link, user=ROOT)[::2]
    assert 1 == len(mounts_at(mountpoint))
    for options in ((), ("-z",)):
        sentence = f"failed to unmount {link}: Invalid argument"
        assert Result(1, b"", said(sentence)) == ours.unmount(link, *options, user=ROOT)
    sentence = f"entry for {link} not found in /etc/mtab"
    assert said(sentence) == ours.run("--auto-unmount", "--", link, user=ROOT).stderr
    assert SUCCESS == ours.unmount(mountpoint, user=ROOT)


@pytest.mark.parametrize("words", ["/proc/self/fd/0", "/dev/stdin", "/dev/fd/0"])
def test_a_magic_link_is_no_mountpoint(
    mount: Mount, caller: User, mountpoint: Path, words: str
) -> None:
    """
    It would lead to whatever the caller has open, in whatever namespace.
    """
    folder = os.open(mountpoint, os.O_RDONLY)
    try:
        result = mount(words, user=caller, stdin=folder)
    finally:
        os.close(folder)

    assert 1 == result.exit_status
    assert result.stderr.endswith(b" is not a directory or a regular file\n")
    assert [] == mounts_at(mountpoint)
