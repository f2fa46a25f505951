"""The option table, and the promise that no option text breaks."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusermount_py.helper import options
from fusermount_py.helper.errors import Refused
from fusermount_py.helper.fuse_conf import Config
from fusermount_py.helper.kernel.constants import MS_NODEV, MS_NOSUID, MS_RDONLY

CONF = Config("/etc/fuse.conf")
PERMISSIVE = Config("/etc/fuse.conf")
PERMISSIVE.user_allow_other = True

WORDS = (
    *options.FLAGS, "allow_other", "default_permissions", "auto_unmount", "blkdev", "nonempty",
    "fsname=", "subtype=", "max_read=", "blksize=", "fd=", "user_id=", "context=", "x-", "user=",
    "remount", "bind", "\\", "\\,", ",", '"', "=", " ", "0", "a",
)  # fmt: skip
# Words of the language in any order find more than letters in any order.
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize("option", options.FLAGS)
def test_an_option_that_clears_a_hardening_flag_is_never_safe(option: str) -> None:
    """
    A setuid file or a device node on a user's own file system is root (libfuse #1566: `dev`).
    """
    _, clears, safe = options.FLAGS[option]

    assert not (safe and clears & options.HARDENING)


@pytest.mark.parametrize("option", options.FLAGS)
def test_an_option_turns_one_flag_one_way(option: str) -> None:
    """
    A table with columns in the wrong order would still be a table.
    """
    sets, clears, _ = options.FLAGS[option]

    assert 1 == (sets | clears).bit_count()
    assert bool(sets) != bool(clears)


@given(TEXTS, st.booleans())
def test_an_ordinary_callers_text_is_accepted_hardened_or_refused(
    text: str, user_allow_other: bool
) -> None:
    """
    Whatever an ordinary caller writes, what the kernel is told stays within the rules.
    """
    try:
        parsed = options.parse(text, PERMISSIVE if user_allow_other else CONF, privileged=False)
    except Refused:
        return

    assert MS_NOSUID | MS_NODEV == parsed.flags & options.HARDENING
    assert user_allow_other or not parsed.allow_other
    assert not parsed.blkdev
    names = {name for name, _ in parsed.parameters()}
    assert names <= {"default_permissions", "allow_other", "max_read", "blksize"}
    # mount(2) gets them as one text: a comma in a value would be another option there.
    assert not any("," in (value or "") for _, value in parsed.parameters())


@given(TEXTS)
def test_roots_text_is_accepted_or_refused(text: str) -> None:
    """
    A traceback is no answer for root either.
    """
    with contextlib.suppress(Refused):
        assert isinstance(options.parse(text, CONF, privileged=True), options.MountOptions)


@given(st.text(st.characters(exclude_characters="\0")), st.sampled_from(["fsname", "subtype"]))
def test_any_name_can_be_given_with_backslashes(name: str, option: str) -> None:
    """
    Libfuse escapes commas and backslashes like this; another reading would be a forged option.
    """
    escaped = name.replace("\\", "\\\\").replace(",", "\\,")

    parsed = options.parse(f"ro,{option}={escaped},noexec", CONF, privileged=False)

    assert name == getattr(parsed, option)
    assert parsed.flags & MS_RDONLY


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (",,ro,", ["", "", "ro"]),
        ("ro,fsname=a\\,b,rw", ["ro", "fsname=a\\,b", "rw"]),
        ("fsname=a\\\\,allow_other", ["fsname=a\\\\", "allow_other"]),
        ("max_read=1\\,allow_other", ["max_read=1\\", "allow_other"]),
        ('context="a,b",ro', ['context="a,b"', "ro"]),
        ('context="a,b', ['context="a,b']),
        ('fsname="a,b"', ['fsname="a', 'b"']),
        ("x-a\\,b", ["x-a\\", "b"]),
    ],
)
def test_commas_separate_unless_escaped_in_a_name_or_quoted_in_a_context(
    text: str, pieces: list[str]
) -> None:
    """
    Text that two parsers read differently was CVE-2018-10906.
    """
    assert pieces == options.split(text)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("fsname=name,subtype=sub", "name"),
        ("subtype=sub", "sub"),
        ("", "/dev/fuse"),
        ("fsname=,subtype=sub", ""),
        ("fsname=first,fsname=last", "last"),
    ],
)
def test_the_source_is_the_name_else_the_subtype_else_the_device(text: str, source: str) -> None:
    """
    It is what `df` and `mount` show to people.
    """
    assert source == options.parse(text, CONF, privileged=False).source("/dev/fuse")


@pytest.mark.parametrize(
    "option",
    [
        "user=root", "relatime=1", "remount", "bind", " ro", "ro ", "RO", "fsname", "subtype",
        "max_read", "fd", "blkdev=1", "allow_other=1", "allow_root", "loop", "mand", "shared",
        "context=a", "fscontext=a", "defcontext=a", "rootcontext=a", "=", "=ro", "X-a",
    ],
)  # fmt: skip
def test_every_other_option_is_unknown(option: str) -> None:
    """
    A whitelist: what the kernel will learn tomorrow is not an ordinary caller's today.
    """
    with pytest.raises(Refused) as refusal:
        options.parse(option, CONF, privileged=False)

    assert f"unknown option '{option}'" == refusal.value.message


@pytest.mark.parametrize("option", ["context", "fscontext", "defcontext", "rootcontext"])
def test_a_context_of_roots_loses_its_quotes(option: str) -> None:
    """
    The kernel takes the label itself; the quotes were there for the commas.
    """
    parsed = options.parse(f'{option}="s:c0,c1",ro', CONF, privileged=True)

    assert [(option, "s:c0,c1")] == parsed.parameters()
    assert parsed.flags & MS_RDONLY
