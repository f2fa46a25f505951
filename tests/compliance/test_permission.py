"""Who may mount where, and in which words the others are refused: contract, section 6."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compliance.likeness import Outcome, mount_outcome, mounted_by_hand

from support import kernel
from support.mount_table import mounts_at
from support.program import Program
from support.users import ROOT, User

MISSING = "No such file or directory"
DENIED = "Permission denied"
NO_DIRECTORY = "Not a directory"
TOO_MANY = "too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf"
NOT_PERMITTED = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
NEITHER = "mountpoint {} is not a directory or a regular file"

REFUSED = [
    # path in the furnished home, path in the message, the message
    ("missing", "missing", "failed to access mountpoint {}: " + MISSING),
    ("missing/", "missing", "failed to access mountpoint {}: " + MISSING),
    ("missing/x", None, "bad mount point {}: " + MISSING),
    ("missing/..", None, "bad mount point {}: " + MISSING),
    ("file/x", None, "failed to access mountpoint {}: " + NO_DIRECTORY),
    ("fifo", None, NEITHER),
    ("link", None, NEITHER),
    ("link/", "link", NEITHER),
    ("loop", None, NEITHER),
    ("dangling", None, NEITHER),
    ("loop/x", None, "bad mount point {}: Too many levels of symbolic links"),
    ("dangling/x", None, "bad mount point {}: " + MISSING),
    ("forbidden", None, "failed to chdir to mountpoint: " + DENIED),
    ("forbidden/plain", None, "failed to access mountpoint {}: " + DENIED),
    ("forbidden/missing", None, "failed to access mountpoint {}: " + DENIED),
    ("readonly", None, "user has no write access to mountpoint {}"),
    ("readonly-file", None, "failed to open {}: " + DENIED),
    ("sticky", None, "mountpoint {} not owned by user"),
    ("n" * 256, None, "failed to access mountpoint {}: File name too long"),
    ("/proc", None, "user has no write access to mountpoint {}"),
    ("/dev/null", None, NEITHER),
    ("/", None, "user has no write access to mountpoint {}"),
]


@pytest.mark.parametrize(("path", "named", "message"), REFUSED, ids=lambda value: str(value)[:20])
def test_an_ordinary_caller_is_refused_in_these_words(
    helper: Program, caller: User, furnished: Path, path: str, named: str | None, message: str
) -> None:
    """
    bazil.org/fuse compares them; people search for them. Below another's directory what is there
    and what is not look the same.
    """
    words = message.format(os.path.join(furnished, named or path))

    outcome = mount_outcome(helper, "--", os.path.join(furnished, path), user=caller)

    assert Outcome(1, b"", f"fusermount3: {words}\n".encode()) == outcome


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("plain", "plain"),
        ("plain/", "plain"),
        ("plain//", "plain"),
        ("plain/.", "plain"),
        ("./plain", "plain"),
        ("readonly/../plain", "plain"),
        ("link/../plain", "plain"),
        ("link/.", "plain"),
        ("with space", "with space"),
        ("with\nline", "with\nline"),
        ("x (deleted)", "x (deleted)"),
        ("\N{SNOWMAN}", "\N{SNOWMAN}"),
        ("file", "file"),
        ("file/", "file"),
    ],
)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_mount_lands_at_the_canonical_path(
    helper: Program, user: User, furnished: Path, path: str, at: str, absolute: bool
) -> None:
    """
    The last component is taken as it is, all before it as the kernel resolves it.
    """
    words = os.path.join(furnished, path) if absolute else path

    outcome = mount_outcome(helper, "--", words, user=user, cwd=furnished)

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]
    assert [os.fsencode(furnished / at)] == [mount.mountpoint for mount in outcome.mounted]


@pytest.mark.parametrize(
    "path", ["plain", "readonly", "forbidden", "forbidden/plain", "sticky", "readonly-file"]
)
def test_root_mounts_on_anybodys_file_and_directory(
    helper: Program, furnished: Path, path: str
) -> None:
    """
    The rules are there to protect others from the caller; root needs no helper to hurt them.
    """
    outcome = mount_outcome(helper, "--", furnished / path, user=ROOT)

    assert (0, b"") == (outcome.exit_status, outcome.stderr)
    assert "user_id=0" in outcome.mounted[0].options


ROOTS_LINKS = [
    # path in the furnished home, where it leads
    ("link", "plain"),
    ("link/", "plain"),
    ("readonly/../link", "plain"),
    ("link-to-link", "plain"),
    ("link-to-file", "file"),
    ("link-to-forbidden", "forbidden/plain"),
]


@pytest.mark.parametrize(("path", "at"), ROOTS_LINKS)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_root_may_name_the_mountpoint_by_a_symlink(
    theirs: Program, ours: Program, furnished: Path, path: str, at: str, absolute: bool
) -> None:
    """
    Root's own links are root's to use, as with mount(8), and 3.19 follows them. 3.14.0 means to,
    but calls the root directory a symlink, too, which kernels refuse.
    """
    for name, target in (
        ("link-to-link", "link"),
        ("link-to-file", "file"),
        ("link-to-forbidden", "forbidden/plain"),
    ):
        (furnished / name).symlink_to(target)
    words = os.path.join(furnished, path) if absolute else path

    refused, mounted = [
        mount_outcome(program, "--", words, user=ROOT, cwd=furnished) for program in (theirs, ours)
    ]

    assert (1, ()) == (refused.exit_status, refused.mounted)
    assert refused.stderr.startswith(b"fusermount3: mount failed: ")
    assert (0, b"", b"", ((b"\0", 1),)) == mounted[:4]
    assert [os.fsencode(furnished / at)] == [mount.mountpoint for mount in mounted.mounted]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("dangling", "failed to access mountpoint {}: " + MISSING),
        ("loop", "failed to access mountpoint {}: Too many levels of symbolic links"),
        ("link-to-fifo", "mountpoint {} is not a directory or a regular file"),
    ],
)
def test_a_symlink_of_roots_that_leads_to_no_mountpoint(
    ours: Program, furnished: Path, path: str, reason: str
) -> None:
    """
    It is told by where it leads, if it leads anywhere. (3.14.0 refuses each symlink of root's.)
    """
    (furnished / "link-to-fifo").symlink_to("fifo")
    named = "fifo" if path == "link-to-fifo" else path

    outcome = mount_outcome(ours, "--", furnished / path, user=ROOT)

    words = f"fusermount3: {reason.format(furnished / named)}\n".encode()
    assert Outcome(1, b"", words) == outcome


@pytest.mark.parametrize("path", ["link-to-file", "link-to-link", "link-to-mount"])
def test_an_ordinary_callers_symlink_is_no_mountpoint_wherever_it_leads(
    helper: Program, caller: User, furnished: Path, path: str
) -> None:
    """
    What a symlink is of is judged as little as what it leads to: it is none, in all versions.
    """
    (furnished / path).symlink_to(
        {"link-to-file": "file", "link-to-link": "link"}.get(path, "plain")
    )
    os.chown(furnished / path, caller.uid, caller.gid, follow_symlinks=False)

    with mounted_by_hand(*[furnished / "plain"] * (path == "link-to-mount"), user=caller):
        outcome = mount_outcome(helper, "--", furnished / path, user=caller)

    words = f"fusermount3: {NEITHER.format(furnished / path)}\n".encode()
    assert Outcome(1, b"", words) == outcome


@pytest.mark.parametrize("mode", [0o500, 0o555, 0o577])
def test_ones_own_directory_must_be_writable_to_oneself(
    helper: Program, caller: User, mountpoint: Path, mode: int
) -> None:
    """
    The owner could change the mode, and has not: whose directory it is is not what is asked.
    """
    mountpoint.chmod(mode)

    outcome = mount_outcome(helper, "--", mountpoint, user=caller)

    words = f"fusermount3: user has no write access to mountpoint {mountpoint}\n".encode()
    assert Outcome(1, b"", words) == outcome


@pytest.mark.parametrize("source", ["-oro", "--bind", "-"])
@pytest.mark.parametrize("name", ["-evil", "-oro", "--"])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_dash_in_front_of_a_name_is_part_of_it(
    helper: Program, user: User, furnished: Path, caller: User, source: str, name: str,
    absolute: bool,
) -> None:  # fmt: skip
    """
    Behind the two dashes nothing is an option, nor is it one to any program that is started later.
    """
    place = furnished / name
    place.mkdir()
    os.chown(place, caller.uid, caller.gid)
    words = ("-o", f"fsname={source}", "--", place if absolute else name)

    outcome = mount_outcome(helper, *words, user=user, cwd=furnished)

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]
    (mount,) = outcome.mounted
    assert (os.fsencode(place), source.encode()) == (mount.mountpoint, mount.source)
    assert "ro" not in mount.attributes


@pytest.mark.parametrize("target", ["plain", "/"], ids=["relative", "absolute"])
def test_a_mountpoint_below_a_symlink_is_the_one_that_it_leads_to(
    helper: Program, user: User, furnished: Path, caller: User, target: str
) -> None:
    """
    Home directories are symlinks on many machines; only the last component may be none.
    """
    inside = furnished / "plain" / "inside"
    inside.mkdir()
    os.chown(inside, caller.uid, caller.gid)
    (furnished / "way").symlink_to(furnished / "plain" if target == "/" else target)

    outcome = mount_outcome(helper, "--", furnished / "way" / "inside", user=user)

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]
    assert [os.fsencode(inside)] == [mount.mountpoint for mount in outcome.mounted]


def test_a_caller_may_cover_the_callers_own_sticky_directory(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    The bit is about others' files; these are the caller's.
    """
    mountpoint.chmod(0o1700)

    assert 0 == mount_outcome(helper, "--", mountpoint, user=caller).exit_status


def test_a_group_the_caller_is_in_counts(helper: Program, caller: User, furnished: Path) -> None:
    """
    Shared directories are writable by a group, and supplementary groups are how one is in it.
    """
    os.chown(furnished / "readonly", 0, 61100)
    (furnished / "readonly").chmod(0o770)

    outcome = mount_outcome(
        helper, "--", furnished / "readonly", user=caller._replace(groups=(61100,))
    )

    assert (0, b"") == (outcome.exit_status, outcome.stderr)


def test_a_file_system_that_others_trust_is_not_covered(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    A cgroup or proc directory that the caller may write is still read by root's programs.
    """
    kernel.mount("devpts", mountpoint, "devpts", options="newinstance")
    os.chown(mountpoint, caller.uid, caller.gid)

    outcome = mount_outcome(helper, "--", mountpoint, user=caller)

    words = b"fusermount3: mounting over filesystem type 0x00001cd1 is forbidden\n"
    assert (1, words, ()) == (outcome.exit_status, outcome.stderr, outcome.mounted)


@pytest.mark.parametrize(
    ("path", "options", "comm", "mount_max", "message"),
    [
        ("missing/x", "bogus", False, 0, "bad mount point {}: " + MISSING),
        ("missing", "bogus", False, 0, "old style mounting not supported"),
        ("missing", "bogus", True, 0, TOO_MANY),
        ("missing", "bogus", True, 9, "failed to access mountpoint {}: " + MISSING),
        ("sticky", "bogus", True, 9, "mountpoint {} not owned by user"),
        ("plain", "bogus,allow_other", True, 9, "unknown option 'bogus'"),
        ("plain", "allow_other,bogus", True, 9, NOT_PERMITTED),
    ],
)  # fmt: skip
def test_of_several_wrong_things_the_first_in_this_order_is_told(
    helper: Program,
    caller: User,
    furnished: Path,
    fuse_conf: Callable[..., None],
    path: str,
    options: str,
    comm: bool,
    mount_max: int,
    message: str,
) -> None:
    """
    Path, comm socket, device, mount_max, mountpoint, options: who mends one sees the next.
    """
    fuse_conf(f"mount_max = {mount_max}\n")
    how = {} if comm else {"comm": None}

    outcome = mount_outcome(helper, "-o", options, "--", furnished / path, user=caller, **how)

    assert f"fusermount3: {message.format(furnished / path)}\n".encode() == outcome.stderr


@pytest.fixture
def empty_dev(nothing_left: None) -> Iterator[None]:
    """A /dev with a null device and nothing else."""
    kernel.mount("tmpfs", "/dev", "tmpfs")
    os.mknod("/dev/null", 0o020666, os.makedev(1, 3))
    Path("/dev/null").chmod(0o666)
    yield
    kernel.umount("/dev")


def test_a_device_that_the_caller_may_not_open(
    helper: Program, caller: User, mountpoint: Path, empty_dev: None
) -> None:
    """
    Distributions decide who may use FUSE by the mode of this node.
    """
    os.mknod("/dev/fuse", 0o020600, os.makedev(10, 229))

    outcome = mount_outcome(helper, "--", mountpoint, user=caller)

    words = b"fusermount3: failed to open /dev/fuse: Permission denied\n"
    assert Outcome(1, b"", words) == outcome


def test_a_device_that_is_not_there(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, empty_dev: None
) -> None:
    """
    The words of 3.19, where 3.14.0 had others.
    """
    seen = [mount_outcome(program, "--", mountpoint, user=caller) for program in (theirs, ours)]

    assert [
        Outcome(1, b"", b"fusermount3: fuse device not found, try 'modprobe fuse' first\n"),
        Outcome(
            1, b"", b"fusermount3: fuse device /dev/fuse not found. Kernel module not loaded?\n"
        ),
    ] == seen


def test_on_top_of_ones_own_mount_only_ours_works(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Nothing speaks against it. Theirs asks with root's ids, which FUSE answers with EACCES.
    """
    with mounted_by_hand(mountpoint, user=caller):
        refused = theirs.run("--", mountpoint, user=caller)
    lower = ours.mount(mountpoint, user=caller).device
    assert lower is not None
    ours.serve(lower)
    result = ours.mount(mountpoint, user=caller)

    words = f"fusermount3: failed to access mountpoint {mountpoint}: {DENIED}\n".encode()
    assert (1, b"", words) == refused[:3]
    assert (0, b"", b"") == result[:3]
    assert 2 == len(mounts_at(mountpoint))


def test_a_dot_behind_a_directory_one_may_not_enter(
    theirs: Program, ours: Program, caller: User, furnished: Path
) -> None:
    """
    Theirs cuts the dot off, ours lets the kernel look it up, which needs the right to enter.
    """
    path = furnished / "forbidden"

    seen = [program.run("--", f"{path}/.", user=caller).stderr for program in (theirs, ours)]

    assert [
        f"fusermount3: failed to chdir to mountpoint: {DENIED}\n".encode(),
        f"fusermount3: bad mount point {path}/.: {DENIED}\n".encode(),
    ] == seen
