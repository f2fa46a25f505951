"""/etc/fuse.conf, line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusermount_py.helper.fuse_conf import Config, parse

PATH = "/etc/fuse.conf"
PIECES = st.sampled_from(
    [
        b"user_allow_other",
        b"mount_max",
        b"service_open_path",
        b"=",
        b" ",
        b"-",
        b"0x",
        b"9",
        b"#",
        b"\n",
        b"\r",
        b"\xff",
    ]
)


@pytest.mark.parametrize(
    "text",
    [
        b"user_allow_other\n",
        b"  user_allow_other\t# for the lab\n",
        b"user_allow_other\r\n",
        b"mount_max = 5\nuser_allow_other\n",
    ],
)
def test_allow_other_is_granted_by_a_line_of_its_own(text: bytes) -> None:
    """
    These are the ways in which administrators have written it.
    """
    config = parse(text, PATH)

    assert (True, []) == (config.user_allow_other, config.warnings)


@pytest.mark.parametrize(
    "text",
    [
        b"#user_allow_other\n",
        b"user_allow_other",
        b"user_allow_other = 1\n",
        b"user_allow_others\n",
        b"User_allow_other\n",
        b"user_allow_other mount_max = 5\n",
        b"user_allow_other" + b" " * 300 + b"\n",
        b"user_allow_other\0\n",
    ],
)
def test_allow_other_is_not_granted_by_anything_else(text: bytes) -> None:
    """
    A permission that was not clearly given is not given.
    """
    assert not parse(text, PATH).user_allow_other


@pytest.mark.parametrize(
    ("line", "mount_max"),
    [
        (b"mount_max = 7", 7),
        (b"mount_max=7", 7),
        (b"  mount_max\t=  7  # lab", 7),
        (b"mount_max = +7", 7),
        (b"mount_max = 0", 0),
        (b"mount_max = -1", -1),
        (b"mount_max=0x2", 2),
        (b"mount_max = 010", 8),
        (b"mount_max = 7 mounts", 7),
        (b"mount_max = 7\r", 7),
        (b"mount_max = 5\nmount_max = 6", 6),
        (b"# mount_max = 7", 1000),
    ],
)
def test_mount_max_is_a_number_as_c_reads_it(line: bytes, mount_max: int) -> None:
    """
    The C helper reads it with %i, and files that worked must go on working.
    """
    config = parse(line + b"\n", PATH)

    assert (mount_max, []) == (config.mount_max, config.warnings)
    assert (mount_max != -1) == config.is_limited


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\t\t",
        b" \t \v\f",
        b"#",
        b"# user_allow_other",
        b"   # mount_max = 7\t ",
        b"\t#\t# mount_max = 7",
        b"\r",
    ],
)
def test_a_line_of_nothing_says_nothing(line: bytes) -> None:
    """
    Files are indented and commented by hand, and a warning at each mount is nobody's wish.
    """
    config = parse(line + b"\n", PATH)

    assert (1000, False, []) == (config.mount_max, config.user_allow_other, config.warnings)


@pytest.mark.parametrize(
    "line",
    [
        b"service_open_path = ext4 /dev/disk*",
        b"service_open_path=ext4 /dev/disk*",
        b" \tservice_open_path\t=\text4\t/dev/disk*  # behind a value",
        b"service_open_path = * relative",
        b"service_open_path = ext4",
        b"service_open_path =",
        b"service_open_path = user_allow_other",
        b"service_open_path = \xff = mount_max = 7",
    ],
)
def test_what_another_program_reads_here_is_no_news(line: bytes) -> None:
    """
    Libfuse 3.19 has a second program with lines in this file: a word about them at each mount
    would be taken for a failure. They give nobody anything here.
    """
    config = parse((line + b"\n") * 2 + b"mount_max = 5\n", PATH)

    assert (5, False, []) == (config.mount_max, config.user_allow_other, config.warnings)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            b"service_open_path\n",
            "unknown parameter in /etc/fuse.conf at line 1: 'service_open_path'",
        ),
        (
            b"service_open_paths = ext4 /dev/sda\n",
            "unknown parameter in /etc/fuse.conf at line 1: 'service_open_paths = ext4 /dev/sda'",
        ),
        (b"\nfoo\n", "unknown parameter in /etc/fuse.conf at line 2: 'foo'"),
        (b"foo bar # x\n", "unknown parameter in /etc/fuse.conf at line 1: 'foo bar'"),
        (b"mount_max\n", "unknown parameter in /etc/fuse.conf at line 1: 'mount_max'"),
        (b"mount_max = x\n", "unknown parameter in /etc/fuse.conf at line 1: 'mount_max = x'"),
        (b"mount_max = -2\n", "invalid mount_max = -2 in /etc/fuse.conf at line 1"),
        (b"#" * 255 + b"\n", "reading /etc/fuse.conf: line 1 too long"),
        (b"mount_max = 5", "reading /etc/fuse.conf: missing newline at end of file"),
    ],
)
def test_a_line_that_does_not_count_is_named(text: bytes, warning: str) -> None:
    """
    An administrator whose setting does nothing must be able to see why.
    """
    config = parse(text, PATH)

    assert [warning] == config.warnings
    assert (1000, False) == (config.mount_max, config.user_allow_other)


def test_the_longest_line_counts() -> None:
    """
    255 bytes with the newline, as in the C helper's buffer.
    """
    line = b"mount_max = 7".ljust(254, b" ")

    assert 7 == parse(line + b"\n", PATH).mount_max


@given(st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=400))
def test_any_file_leaves_a_usable_configuration(text: bytes) -> None:
    """
    A broken file must not take FUSE away from everyone, nor give anything to anyone.
    """
    config = parse(text, PATH)

    assert isinstance(config, Config)
    assert config.mount_max >= -1
    assert not config.user_allow_other or b"user_allow_other" in text
