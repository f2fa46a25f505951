"""/etc/fuse.conf, as the helper finds it; what its lines mean is tested in tests/unit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.flows import refused, said
from support.mount_table import mount_at
from support.program import Program, Result
from support.users import User

Mount = Callable[..., Result]
Conf = Callable[..., None]
ALLOW_OTHER = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"


def test_allow_other_is_the_administrators_to_allow(
    mount: Mount, caller: User, mountpoint: Path, fuse_conf: Conf
) -> None:
    """
    Whoever looks into such a mount is answered, or stopped, by its user's program.
    """
    assert refused(ALLOW_OTHER) == mount(mountpoint, "allow_other", user=caller)

    fuse_conf("user_allow_other\n")
    assert 0 == mount(mountpoint, "allow_other", user=caller).exit_status
    assert "allow_other" in mount_at(mountpoint).options


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "user_allow_others\n",
            "unknown parameter in /etc/fuse.conf at line 1: 'user_allow_others'",
        ),
        ("\nmount_max = -2\n", "invalid mount_max = -2 in /etc/fuse.conf at line 2"),
        ("#" * 256 + "\n", "reading /etc/fuse.conf: line 1 too long"),
        ("user_allow_other", "reading /etc/fuse.conf: missing newline at end of file"),
    ],
)
def test_a_line_that_does_not_count_is_warned_about(
    mount: Mount, caller: User, mountpoint: Path, fuse_conf: Conf, text: str, sentence: str
) -> None:
    """
    The mount goes on: a slip in the file must not take FUSE away from everyone.
    """
    fuse_conf(text)

    assert refused(sentence, ALLOW_OTHER) == mount(mountpoint, "allow_other", user=caller)
    result = mount(mountpoint, user=caller)
    assert (0, said(sentence)) == (result.exit_status, result.stderr)


def test_a_closed_configuration_allows_nothing_and_stops_nothing(
    mount: Mount, caller: User, mountpoint: Path, fuse_conf: Conf
) -> None:
    """
    It is read as the caller. Bazil's fuse package knows exactly this line.
    """
    fuse_conf("user_allow_other\nmount_max = 0\n", mode=0o600)
    sentence = "failed to open /etc/fuse.conf: Permission denied"

    assert refused(sentence, ALLOW_OTHER) == mount(mountpoint, "allow_other", user=caller)
    result = mount(mountpoint, user=caller)
    assert (0, said(sentence)) == (result.exit_status, result.stderr)


def test_a_missing_configuration_is_no_news(
    mount: Mount, caller: User, mountpoint: Path, fuse_conf: Conf
) -> None:
    """
    A machine without the file has the defaults.
    """
    fuse_conf(None)

    result = mount(mountpoint, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)


def test_unmounting_does_not_read_the_configuration(
    ours: Program, caller: User, mountpoint: Path, fuse_conf: Conf
) -> None:
    """
    Go-fuse takes any word on stderr for a failed unmount.
    """
    ours.mount(mountpoint, user=caller)
    fuse_conf("nonsense\n")

    assert Result(0, b"", b"") == ours.unmount(mountpoint, user=caller)
