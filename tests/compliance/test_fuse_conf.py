"""/etc/fuse.conf: contract, section 7."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from compliance.differences import accounted_for
from compliance.likeness import Outcome, mount_outcome, mounted_by_hand

from support.program import Program
from support.users import ROOT, User

FuseConf = Callable[..., None]
TOO_MANY = (
    b"fusermount3: too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf\n"
)


def mount_allowing_others(program: Program, mountpoint: Path, user: User) -> Outcome:
    return mount_outcome(program, "-o", "allow_other", "--", mountpoint, user=user)


@pytest.mark.parametrize(
    ("text", "permitted"),
    [
        ("user_allow_other\n", True),
        ("  user_allow_other\t \n", True),
        ("user_allow_other # for podman\n", True),
        ("user_allow_other\r\n", True),
        ("# user_allow_other\n", False),
        ("mount_max = 5\nuser_allow_other\n", True),
        ("", False),
        (None, False),
    ],
)
def test_user_allow_other_stands_alone_on_a_line(
    helper: Program,
    caller: User,
    mountpoint: Path,
    fuse_conf: FuseConf,
    text: str | None,
    permitted: bool,
) -> None:
    """
    One's reading must not permit what the other's refuses.
    """
    fuse_conf(text)

    outcome = mount_allowing_others(helper, mountpoint, caller)

    assert permitted == (outcome.exit_status == 0)
    assert permitted == (outcome.stderr == b"")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("bogus\n", "unknown parameter in /etc/fuse.conf at line 1: 'bogus'"),
        ("\n#\n a b # c\n", "unknown parameter in /etc/fuse.conf at line 3: 'a b'"),
        ("mount_max\n", "unknown parameter in /etc/fuse.conf at line 1: 'mount_max'"),
        ("mount_max=\n", "unknown parameter in /etc/fuse.conf at line 1: 'mount_max='"),
        ("allow=1\n", "unknown parameter in /etc/fuse.conf at line 1: 'allow=1'"),
        ("#" * 255 + "\n", "reading /etc/fuse.conf: line 1 too long"),
        ("#" * 254 + "\n", None),
        ("# last line", "reading /etc/fuse.conf: missing newline at end of file"),
        ("mount_max = 0", "reading /etc/fuse.conf: missing newline at end of file"),
        ("#" * 600, "reading /etc/fuse.conf: missing newline at end of file"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_a_line_that_says_nothing_is_warned_about_and_does_not_count(
    helper: Program,
    caller: User,
    mountpoint: Path,
    fuse_conf: FuseConf,
    text: str,
    warning: str | None,
) -> None:
    """
    A file system must not fail to start for a typing error in this file.
    """
    fuse_conf(text)

    outcome = mount_outcome(helper, "--", mountpoint, user=caller)

    assert 0 == outcome.exit_status
    assert (f"fusermount3: {warning}\n" if warning else "").encode() == outcome.stderr


def test_a_file_that_the_caller_may_not_read_means_the_defaults(
    helper: Program, caller: User, mountpoint: Path, fuse_conf: FuseConf
) -> None:
    """
    Its exact words are a test of bazil.org/fuse. Read as the caller, it echoes no secret.
    """
    fuse_conf("user_allow_other\n", mode=0o600)

    plain = mount_outcome(helper, "--", mountpoint, user=caller)
    refused = mount_allowing_others(helper, mountpoint, caller)

    denied = b"fusermount3: failed to open /etc/fuse.conf: Permission denied\n"
    assert (0, denied) == (plain.exit_status, plain.stderr)
    assert (1, True) == (refused.exit_status, refused.stderr.startswith(denied))


@pytest.mark.parametrize(
    ("setting", "mounts", "refused"),
    [
        ("mount_max = 1", 0, False),
        ("mount_max = 1", 1, True),
        ("mount_max=2", 1, False),
        ("mount_max=0x2", 2, True),
        ("mount_max=0x3", 2, False),
        ("mount_max=02", 2, True),
        ("mount_max\t=\t1 # one", 1, True),
        ("mount_max = -1", 2, False),
        ("mount_max = 0", 0, True),
        ("mount_max = 1\nmount_max = 9", 2, False),
    ],
)
def test_mount_max_counts_the_mounts_of_everybody(
    helper: Program,
    caller: User,
    furnished: Path,
    fuse_conf: FuseConf,
    setting: str,
    mounts: int,
    refused: bool,
) -> None:
    """
    One user must not use up the kernel's memory; the last line of several counts.
    """
    fuse_conf(setting + "\n")
    others = [furnished / name for name in ("with space", "sticky")[:mounts]]

    with mounted_by_hand(*others, user=ROOT):
        outcome = mount_outcome(helper, "--", furnished / "plain", user=caller)

    assert (int(refused), TOO_MANY if refused else b"") == (outcome.exit_status, outcome.stderr)


def test_root_is_not_counted(helper: Program, mountpoint: Path, fuse_conf: FuseConf) -> None:
    """
    The limit is the administrator's, for others.
    """
    fuse_conf("mount_max = 0\n")

    assert 0 == mount_outcome(helper, "--", mountpoint, user=ROOT).exit_status


def test_a_mount_max_below_minus_one_is_refused_since_3_15_and_forbids_all_before(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, fuse_conf: FuseConf
) -> None:
    """
    A typing error; ours warns and goes on with the default, as 3.19 does.
    """
    fuse_conf("mount_max = -2\n")

    seen = [mount_outcome(program, "--", mountpoint, user=caller) for program in (theirs, ours)]

    warning = b"fusermount3: invalid mount_max = -2 in /etc/fuse.conf at line 1\n"
    assert [(1, TOO_MANY), (0, warning)] == [(one.exit_status, one.stderr) for one in seen]


@pytest.mark.parametrize(
    ("number", "theirs_permits"),
    [
        ("2147483647", True),
        ("2147483648", False),
        ("4294967295", True),
        ("4294967296", False),
        ("9" * 20, True),
    ],
)
def test_a_very_large_mount_max_is_no_limit(
    theirs: Program,
    ours: Program,
    caller: User,
    mountpoint: Path,
    fuse_conf: FuseConf,
    number: str,
    theirs_permits: bool,
) -> None:
    """
    Whoever writes such a number wants to be asked no more; theirs takes its lowest 32 bits.
    """
    fuse_conf(f"mount_max = {number}\n")

    seen = [mount_outcome(program, "--", mountpoint, user=caller) for program in (theirs, ours)]

    expected = [(0, b"") if permits else (1, TOO_MANY) for permits in (theirs_permits, True)]
    assert expected == [(one.exit_status, one.stderr) for one in seen]


def test_lines_for_the_other_program_that_reads_this_file_are_no_news(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, fuse_conf: FuseConf
) -> None:
    """
    Libfuse 3.19 has such lines, and a caller may take a word on stderr for a failure. 3.14.0 knows
    none of them.
    """
    fuse_conf(
        "service_open_path = ext4 /dev/disk/*\n"
        "\tservice_open_path\t=\text4 relative\t# why\n"
        "service_open_path =\n"
        "user_allow_other\n"
    )

    seen = [mount_allowing_others(program, mountpoint, caller) for program in (theirs, ours)]

    assert [0, 0] == [one.exit_status for one in seen]
    assert [3, 0] == [one.stderr.count(b"unknown parameter") for one in seen]
    assert b"" == seen[1].stderr


def written_by_hand(choice: random.Random) -> str:
    """A file as administrators write them: settings and slips, indented, commented, in any case."""

    def space() -> str:
        return choice.choice(["", "", " ", "\t", "   ", " \t ", "\v", "\f"])

    def line() -> str:
        number = choice.choice(["0", "1", "2", "3", "7", "-1", "+2", "0x1", "01", "2x", "", "no"])
        setting = choice.choice(
            [
                *("user_allow_other", "USER_ALLOW_OTHER", "user_allow_other=1", "allow_other"),
                *(f"mount_max{space()}={space()}{number}" for _ in range(3)),
                *("mount_max", "mount-max=2", f"mount_max {number}", "max = 1", "= 1", "="),
                f"service_open_path{space()}={space()}ext4{space()}/dev/disk*",
                *("", "", "x" * choice.randrange(230, 280)),
            ]
        )
        comment = choice.choice(["", "", f"#{space()}words", "# user_allow_other", "##"])
        return f"{space()}{setting}{space()}{comment}{choice.choice(['', '', chr(13)])}"

    text = "\n".join(line() for _ in range(choice.randrange(1, 40)))
    return text + choice.choice(["\n", "\n", "\n", "\n\n", "\r\n", ""])


@pytest.mark.parametrize("seed", range(40))
def test_whole_files_are_read_alike(
    theirs: Program,
    ours: Program,
    caller: User,
    furnished: Path,
    fuse_conf: FuseConf,
    seed: int,
) -> None:
    """
    Each line has its own warning or none, with its own number, and the last setting counts.
    """
    text = written_by_hand(random.Random(seed))  # noqa: S311  # the same files in each run
    fuse_conf(text)
    others = [furnished / name for name in ("with space", "sticky")[: seed % 3]]

    with mounted_by_hand(*others, user=ROOT):
        expected = mount_allowing_others(theirs, furnished / "plain", caller)
    with mounted_by_hand(*others, user=ROOT):
        found = mount_allowing_others(ours, furnished / "plain", caller)

    assert accounted_for(expected, found), (text, expected, found)
