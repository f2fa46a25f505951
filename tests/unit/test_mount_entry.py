"""One line of mountinfo, and one answer of statmount, as the kernel writes them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusermount_py.helper.mount_entry import STATMOUNT_MASK, parse, parse_statmount, unescape

LINE = (
    b"36 35 0:42 / /mnt/demo rw,nosuid,nodev shared:1 master:2 "
    b"- fuse.demo source rw,user_id=1000,group_id=1000"
)


def escape(name: bytes) -> bytes:
    """As fs/proc_namespace.c does: space, tab, newline, backslash, and # in a source."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in name)


def test_a_line_is_read_by_its_columns() -> None:
    """
    Unmounting trusts these columns with other people's mounts.
    """
    entry = parse(LINE + b"\n")

    assert (36, 35, "0:42", "/") == (entry.id, entry.parent, entry.device, entry.root)
    assert ("/mnt/demo", "rw,nosuid,nodev") == (entry.mountpoint, entry.attributes)
    assert ("fuse.demo", "source") == (entry.fstype, entry.source)
    assert (True, 1000) == (entry.is_fuse, entry.owner)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_every_name_is_read_back(name: bytes) -> None:
    """
    A name that could forge a column would be a forged owner (CVE-2005-3531, CVE-2010-0547).
    """
    line = LINE.replace(b"source", escape(name)).replace(b"/mnt/demo", b"/" + escape(name))

    entry = parse(line)

    assert name == entry.source.encode("utf-8", "surrogateescape")
    assert b"/" + name == entry.mountpoint.encode("utf-8", "surrogateescape")
    assert ("fuse.demo", 1000) == (entry.fstype, entry.owner)


@given(
    st.binary()
    | st.lists(st.sampled_from([b"1", b" ", b"-", b" - ", b"/", b"\\040"])).map(b"".join)
)
def test_any_other_line_is_refused_as_a_value(line: bytes) -> None:
    """
    Whoever reads the table must be able to tell a strange line from a bug.
    """
    try:
        entry = parse(line)
    except ValueError:
        return
    assert entry.id >= 0 or line.startswith(b"-")


@given(st.binary())
def test_what_is_no_escape_stays_as_it_is(field: bytes) -> None:
    """
    Only the kernel's four characters form an escape; nothing is lost on anything else.
    """
    if b"\\" not in field:
        assert field == unescape(field).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("fstype", "is_fuse"),
    [
        ("fuse", True), ("fuse.sshfs", True), ("fuseblk", True), ("fuseblk.ntfs", True),
        ("fusectl", False), ("fusefs", False), ("tmpfs", False), ("xfuse", False), ("", False),
    ],
)  # fmt: skip
def test_only_fuse_types_are_fuse(fstype: str, is_fuse: bool) -> None:
    """
    Fusectl is the machine's, and begins with the same four letters.
    """
    assert is_fuse == parse(LINE.replace(b"fuse.demo", fstype.encode())).is_fuse


@pytest.mark.parametrize(
    ("options", "owner"),
    [
        (b"rw,user_id=100", 100),
        (b"user_id=10001,rw", 10001),
        (b"rw,user_id=0", 0),
        (b"rw", None),
        (b"rw,user_id=", None),
        (b"rw,user_id=-1", None),
        (b"rw,xuser_id=5", None),
    ],
)
def test_the_owner_is_the_whole_number(options: bytes, owner: int | None) -> None:
    """
    100, 1000 and 10001 are different people (util-linux CVE-2021-3995).
    """
    line = LINE.replace(b"rw,user_id=1000,group_id=1000", options)

    assert owner == parse(line).owner


def answer(mask: int, mount_id: int, *strings: bytes) -> bytes:
    """The kernel's struct statmount: options, type and mountpoint lie behind its 512 bytes."""
    options, fstype, mountpoint = (len(b"\0".join((b"", *strings[:n], b""))) for n in range(3))
    fields = struct.pack("=IIQ20xI16xI48xI", 0, options, mask, fstype, mount_id, mountpoint)
    return fields.ljust(512, b"\0") + b"\0".join((b"", *strings, b""))


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_an_answer_of_statmount_is_read_as_the_line_is(name: bytes) -> None:
    """
    There nothing is escaped and nothing separates: no name can be more than a name.
    """
    mount = parse_statmount(
        answer(STATMOUNT_MASK, 36, b"user_id=1000,group_id=1000", b"fuse", b"/" + name)
    )

    assert b"/" + name == mount.mountpoint.encode("utf-8", "surrogateescape")
    assert (36, "fuse", True, 1000) == (mount.id, mount.fstype, mount.is_fuse, mount.owner)


@pytest.mark.parametrize("missing", [1 << bit for bit in range(64) if STATMOUNT_MASK >> bit & 1])
def test_an_answer_that_lacks_what_is_judged_is_refused_as_a_value(missing: int) -> None:
    """
    Linux before 6.11 does not know a mount's options: an owner must not be read from zeros.
    """
    with pytest.raises(ValueError, match="not all"):
        parse_statmount(answer(STATMOUNT_MASK & ~missing, 36, b"user_id=0", b"fuse", b"/mnt"))


@given(st.binary(max_size=700))
def test_any_other_answer_is_refused_as_a_value(content: bytes) -> None:
    """
    An answer that was cut off must lead to the table, not to an end without a sentence.
    """
    mask = struct.pack("=Q", STATMOUNT_MASK)
    try:
        parse_statmount(content[:8] + mask + content[16:])
    except ValueError:
        return
