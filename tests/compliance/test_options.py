"""Mount options: contract, section 5. What the kernel shows is the judge."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from compliance.likeness import Mount, Outcome, mount_outcome

from support.program import Program
from support.users import ROOT, User

FuseConf = Callable[..., None]


def with_options(program: Program, mountpoint: Path, options: str | bytes, user: User) -> Outcome:
    return mount_outcome(program, "-o", options, "--", mountpoint, user=user)


def shown(mountpoint: Path, user: User, **differs: object) -> Mount:
    """The entry of a plain mount, but for what differs."""
    plain = Mount(
        os.fsencode(mountpoint),
        frozenset({"rw", "nosuid", "nodev", "relatime"}),
        "fuse",
        b"/dev/fuse",
        frozenset({"rw", f"user_id={user.uid}", f"group_id={user.gid}"}),
    )
    return plain._replace(**differs)  # type: ignore[arg-type]  # fields of three types


def changed(words: frozenset[str], change: str) -> frozenset[str]:
    """`change` has words to add (+noexec) and to take away (-relatime)."""
    added = {word[1:] for word in change.split() if word[0] == "+"}
    return (words | added) - {word[1:] for word in change.split() if word[0] == "-"}


FLAGS = [
    # option, change of the mount's attributes, change of the superblock's options
    ("ro", "+ro -rw", "+ro -rw"),
    ("ro,rw", "", ""),
    ("nosuid,nodev", "", ""),
    ("noexec", "+noexec", ""),
    ("noexec,exec", "", ""),
    ("sync", "", "+sync"),
    ("sync,async", "", ""),
    ("dirsync", "", "+dirsync"),
    ("noatime", "+noatime -relatime", ""),
    ("default_permissions", "", "+default_permissions"),
    ("max_read=8192", "", "+max_read=8192"),
    ("max_read=1", "", "+max_read=4096"),
    ("max_read=4096,max_read=8192", "", "+max_read=8192"),
    ("nonempty", "", ""),
    ("fd=0,rootmode=777,user_id=0,group_id=0", "", ""),
    ("fd=x,user_id=,rootmode=-1", "", ""),
    ("ro,", "+ro -rw", "+ro -rw"),
]


@pytest.mark.parametrize(("options", "attributes", "superblock"), FLAGS)
def test_each_option_does_this_and_nothing_else(
    helper: Program, user: User, mountpoint: Path, options: str, attributes: str, superblock: str
) -> None:
    """
    Whatever the caller says about ids, type and descriptor, the helper's own values count.
    """
    plain = shown(mountpoint, user)

    outcome = with_options(helper, mountpoint, options, user)

    expected = plain._replace(
        attributes=changed(plain.attributes, attributes),
        options=changed(plain.options, superblock),
    )
    assert (0, b"", b"", ((b"\0", 1),), (expected,)) == outcome[:5]


@pytest.mark.parametrize("option", ["suid", "dev"])
def test_an_ordinary_callers_suid_and_dev_are_ignored_aloud(
    helper: Program, caller: User, mountpoint: Path, option: str
) -> None:
    """
    A setuid file of the caller's making would be root's; a device node, the disk's.
    """
    outcome = with_options(helper, mountpoint, option, caller)

    assert f"fusermount3: unsafe option {option} ignored\n".encode() == outcome.stderr
    assert (0, (shown(mountpoint, caller),)) == (outcome.exit_status, outcome.mounted)


@pytest.mark.parametrize(("option", "cleared"), [("suid", "-nosuid"), ("dev", "-nodev")])
def test_root_may_clear_nosuid_and_nodev(
    helper: Program, mountpoint: Path, option: str, cleared: str
) -> None:
    """
    ntfs-3g as root does, for a system's own disks.
    """
    outcome = with_options(helper, mountpoint, option, ROOT)

    assert b"" == outcome.stderr
    plain = shown(mountpoint, ROOT)
    assert changed(plain.attributes, cleared) == outcome.mounted[0].attributes


@pytest.mark.parametrize(
    "option",
    [
        *(
            "user=x",
            "relatime=1",
            "remount",
            "bind",
            " ro",
            "ro ",
            "RO",
            "fsname",
            "subtype",
            "ro=",
        ),
        *("max_read", "nonempty=1", "allow_other=1", "auto_unmount=", "default_permissions=1"),
        *("user_id", "uid=0", "loop", "rbind", "move", "private", "defaults", "'", "\\,", "%s"),
        "",
    ],
)
def test_a_word_that_is_no_option_is_refused(
    helper: Program, user: User, mountpoint: Path, option: str
) -> None:
    """
    A libfuse tries again without the subtype then, and shows this line to its user. An empty part
    between two commas is such a word, one after the last comma is not.
    """
    outcome = with_options(helper, mountpoint, f"noexec,{option},ro", user)

    word = option.partition(",")[0]
    assert Outcome(1, b"", f"fusermount3: unknown option '{word}'\n".encode()) == outcome


@pytest.mark.parametrize(
    ("option", "change"),
    [
        ("strictatime", "-relatime"),
        ("nodiratime", "+nodiratime"),
        ("nosymfollow", "+nosymfollow"),
        ("relatime", ""),
        ("norelatime", ""),
        ("nostrictatime", ""),
        ("diratime", ""),
        ("symfollow", ""),
        ("nolazytime", ""),
        ("x-gvfs-hide", ""),
        ("x-", ""),
    ],
)
def test_options_that_came_after_3_14(
    theirs: Program, ours: Program, user: User, mountpoint: Path, option: str, change: str
) -> None:
    """
    Those of 3.14.1 to 3.19. What one version took and the next one refused, ours takes.
    """
    refused = with_options(theirs, mountpoint, option, user)
    outcome = with_options(ours, mountpoint, option, user)

    assert f"fusermount3: unknown option '{option}'\n".encode() == refused.stderr
    plain = shown(mountpoint, user)
    expected = plain._replace(attributes=changed(plain.attributes, change))
    assert (0, b"", b"", ((b"\0", 1),), (expected,)) == outcome[:5]


def test_large_read_is_obsolete_and_only_theirs_says_so(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A message on success is a failure to go-fuse.
    """
    seen = [with_options(program, mountpoint, "large_read", caller) for program in (theirs, ours)]

    assert [0, 0] == [outcome.exit_status for outcome in seen]
    assert seen[0].stderr.startswith(b"fusermount3: note: 'large_read' mount option is deprecated")
    assert b"" == seen[1].stderr


@pytest.mark.parametrize(
    ("options", "fstype", "source"),
    [
        ("fsname=demo", "fuse", b"demo"),
        ("subtype=sub", "fuse.sub", b"sub"),
        ("fsname=demo,subtype=sub", "fuse.sub", b"demo"),
        ("subtype=a.b", "fuse.a.b", b"a.b"),
        ("fsname=one,fsname=two,subtype=a,subtype=b", "fuse.b", b"two"),
        (r"fsname=a\,b\\c", "fuse", b"a,b\\c"),
        (r"fsname=a\bc", "fuse", b"abc"),
        ("fsname=a\\", "fuse", b"a\\"),
        (r"fsname=a\,ro", "fuse", b"a,ro"),
        ("fsname=a=b", "fuse", b"a=b"),
        ("fsname=-o suid", "fuse", b"-o suid"),
        ("fsname=a b\tc\nd", "fuse", b"a b\tc\nd"),
        (b"fsname=\xff\xe2\x98", "fuse", b"\xff\xe2\x98"),
        ("fsname=" + "n" * 255, "fuse", b"n" * 255),
        ("fsname=" + "n" * 1000, "fuse", b"n" * 1000),
        ("subtype=" + "n" * 300, "fuse." + "n" * 300, b"n" * 300),
    ],
    ids=str,
)
def test_names_are_shown_as_given(
    helper: Program, user: User, mountpoint: Path, options: str, fstype: str, source: bytes
) -> None:
    """
    df, findmnt and desktop programs know a file system by them; sshfs puts host and path there.
    """
    outcome = with_options(helper, mountpoint, options, user)

    expected = shown(mountpoint, user, fstype=fstype, source=source)
    assert (0, b"", b"", ((b"\0", 1),), (expected,)) == outcome[:5]


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("max_read=abc", "fuse: Bad value for 'max_read'"),
        ("max_read=", "fuse: Bad value for 'max_read'"),
        ("max_read=-1", "fuse: Bad value for 'max_read'"),
        ("blksize=512", "fuse: blksize only supported for fuseblk"),
        ("fsname=", "fuse: Bad value for 'source'"),
        ("subtype=", "fuse: Bad value for 'subtype'"),
    ],
)
def test_a_value_that_the_kernel_refuses(
    theirs: Program, ours: Program, user: User, mountpoint: Path, option: str, line: str
) -> None:
    """
    Ours adds the kernel's own line, which says what "Invalid argument" does not.
    """
    seen = [with_options(program, mountpoint, option, user) for program in (theirs, ours)]

    message = "fusermount3: mount failed: Invalid argument"
    assert [
        Outcome(1, b"", f"{message}\n".encode()),
        Outcome(1, b"", f"{message} [{line}]\n".encode()),
    ] == seen


@pytest.mark.parametrize("permitted", [False, True])
def test_allow_other_is_the_administrators_to_permit(
    helper: Program, caller: User, mountpoint: Path, fuse_conf: FuseConf, permitted: bool
) -> None:
    """
    Its exact words are in the source of fuser, which tells its user what to do.
    """
    fuse_conf("user_allow_other\n" if permitted else "")

    outcome = with_options(helper, mountpoint, "allow_other", caller)

    if permitted:
        assert (0, b"") == (outcome.exit_status, outcome.stderr)
        assert "allow_other" in outcome.mounted[0].options
    else:
        message = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
        assert Outcome(1, b"", f"fusermount3: {message}\n".encode()) == outcome


def test_root_gives_allow_other_unasked(helper: Program, mountpoint: Path) -> None:
    """
    The administrator need not permit what the administrator does.
    """
    assert "allow_other" in with_options(helper, mountpoint, "allow_other", ROOT).mounted[0].options


def test_blkdev_is_privileged(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    A block device's mount is root's.
    """
    outcome = with_options(helper, mountpoint, "blkdev,fsname=/dev/null", caller)

    assert Outcome(1, b"", b"fusermount3: option blkdev is privileged\n") == outcome


@pytest.mark.parametrize("name", ["context", "fscontext", "defcontext", "rootcontext"])
def test_selinux_contexts_are_roots(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, name: str
) -> None:
    """
    3.14.0 does not know them at all; ours knows that commas in quotes do not separate.
    """
    option = f'{name}="a,b"'

    seen = [with_options(program, mountpoint, option, caller) for program in (theirs, ours)]

    assert [
        Outcome(1, b"", f"fusermount3: unknown option '{name}=\"a'\n".encode()),
        Outcome(1, b"", f"fusermount3: unknown option '{option}'\n".encode()),
    ] == seen


def test_of_a_refused_mount_ours_says_only_why(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    That suid would have been ignored is of no use to anyone then.
    """
    seen = [with_options(program, mountpoint, "suid,bogus", caller) for program in (theirs, ours)]

    reason = b"fusermount3: unknown option 'bogus'\n"
    assert [b"fusermount3: unsafe option suid ignored\n" + reason, reason] == [
        outcome.stderr for outcome in seen
    ]
