"""What may stand in util-linux's table: the words that no program obeys as root."""

import pytest

from fusermount_py.helper import mount_entry, utab_record

LINE = b"40 30 0:50 / /mnt/a\\040b rw - fuse.sub %b rw,user_id=1000"


def entry(source: bytes) -> mount_entry.MountEntry:
    return mount_entry.parse(LINE.replace(b"%b", source))


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        (b"demo", True),
        (b"user@host:/a=b", True),
        (b"-o", True),
        (b"LABEL=demo", False),
        (b"UUID=", False),
        (b"PARTLABEL=x", False),
        (b"ID=x", False),
        (b"", False),
    ],
)
def test_a_source_by_which_mount_would_search_the_disks_is_not_plain(
    source: bytes, plain: bool
) -> None:
    """
    As root it would open every disk for an ordinary user's word.
    """
    assert plain == utab_record.has_plain_source(entry(source))


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        (["x-gvfs-hide", "x-a=b c"], ["x-gvfs-hide", "x-a=b c"]),
        (["x-mount.mkdir", "x-mount.", "x-mountain"], ["x-mountain"]),
        (['x-a="', "x-b"], ["x-b"]),
        (["user=root", "uhelper=udisks2", "X-mount.owner=0", ""], []),
        (["x-" + "a" * 4093], ["x-" + "a" * 4093]),
        (["x-" + "a" * 4094], []),
        (["x-" + "\N{SNOWMAN}" * 1365], []),
    ],
)
def test_only_harmless_options_are_recordable(options: list[str], recorded: list[str]) -> None:
    """
    mount(8) is started as root with what is left.
    """
    assert recorded == utab_record.recordable(options)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (rb"SRC=demo TARGET=/mnt/a\040b ROOT=/ OPTS=x-a", True),
        (rb"ID=7 SRC=demo TARGET=/mnt/a\040b ROOT=/ OPTS=x-a,x-b", True),
        (rb"SRC=other TARGET=/mnt/a\040b ROOT=/ OPTS=x-a", False),
        (rb"SRC=demo TARGET=/mnt/a ROOT=/ OPTS=x-a", False),
        (rb"SRC=demo TARGET=/mnt/a\040b ROOT=/ OPTS=x-a,uhelper=udisks2", False),
        (rb"SRC=demo TARGET=/mnt/a\040b ROOT=/", False),
        (rb"nonsense", False),
    ],
)
def test_a_record_is_told_by_source_path_and_options(line: bytes, left: bool) -> None:
    """
    umount(8) goes by the path alone, and another's record may be there.
    """
    gone = entry(b"demo")
    record = utab_record.parse(line)

    assert left == utab_record.is_left_by(record, gone, [])
    assert not utab_record.is_left_by(record, gone, [entry(b"other"), gone])


@pytest.mark.parametrize(
    ("line", "unique_id"),
    [
        (rb"UNIQID=2147485432 SRC=demo TARGET=/mnt ROOT=/ OPTS=x-a", 2147485432),
        (rb"ID=7 UNIQID=2147485432 SRC=demo TARGET=/mnt ROOT=/", 2147485432),
        (rb"SRC=UNIQID=7 TARGET=/mnt ROOT=/ OPTS=x-a=UNIQID=8,x-b=\040UNIQID=9", None),
        (rb"UNIQID=0x8 SRC=demo TARGET=/mnt ROOT=/ OPTS=x-a", None),
        (rb"UNIQID=-8 SRC=demo TARGET=/mnt ROOT=/ OPTS=x-a", None),
        (b"UNIQID=" + b"9" * 5000 + b" SRC=demo TARGET=/mnt ROOT=/ OPTS=x-a", None),
        (rb"UNIQID= SRC=demo TARGET=/mnt ROOT=/ OPTS=x-a", None),
    ],
)
def test_the_kernels_id_is_a_field_of_its_own(line: bytes, unique_id: int | None) -> None:
    """
    A user's word in another field must not point at another's mount.
    """
    assert unique_id == utab_record.parse(line).unique_id
