"""What the kernel shows after an option text; the table is the contract's (section 5)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.flows import refused, said
from support.mount_table import mount_at, mounts, mounts_at, mounts_below
from support.program import Program, Result
from support.users import ROOT, User

Mount = Callable[..., Result]


@pytest.mark.parametrize(
    ("options", "attributes", "superblock"),
    [
        ("rw", "rw relatime", "rw"),
        ("ro", "ro relatime", "ro"),
        ("ro,rw", "rw relatime", "rw"),
        ("noexec", "rw noexec relatime", "rw"),
        ("noexec,exec", "rw relatime", "rw"),
        ("sync", "rw relatime", "rw sync"),
        ("sync,async", "rw relatime", "rw"),
        ("dirsync", "rw relatime", "rw dirsync"),
        ("noatime", "rw noatime", "rw"),
        ("noatime,atime", "rw relatime", "rw"),
        ("nodiratime", "rw nodiratime relatime", "rw"),
        ("nodiratime,diratime", "rw relatime", "rw"),
        ("relatime,norelatime", "rw relatime", "rw"),
        ("strictatime", "rw", "rw"),
        ("strictatime,nostrictatime", "rw relatime", "rw"),
        ("lazytime", "rw relatime", "rw lazytime"),
        ("lazytime,nolazytime", "rw relatime", "rw"),
        ("nosymfollow", "rw relatime nosymfollow", "rw"),
        ("nosymfollow,symfollow", "rw relatime", "rw"),
        ("nosuid,nodev", "rw relatime", "rw"),
        ("default_permissions", "rw relatime", "rw default_permissions"),
        ("max_read=8192", "rw relatime", "rw max_read=8192"),
        ("nonempty,large_read,x-gvfs-hide,x-a=b", "rw relatime", "rw"),
        ("fd=0,rootmode=0,user_id=0,group_id=0", "rw relatime", "rw"),
    ],
)
def test_the_kernel_shows_what_was_asked_for(
    mount: Mount, caller: User, mountpoint: Path, options: str, attributes: str, superblock: str
) -> None:
    """
    And nothing else: nosuid, nodev and the caller's ids, whatever the text.
    """
    result = mount(mountpoint, options, user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    entry = mount_at(mountpoint)
    assert {"nosuid", "nodev", *attributes.split()} == entry.attributes
    ids = {f"user_id={caller.uid}", f"group_id={caller.gid}"}
    assert ids | set(superblock.split()) == entry.options


@pytest.mark.parametrize("option", ["dev", "suid"])
def test_an_unsafe_option_is_ignored_aloud(
    mount: Mount, caller: User, mountpoint: Path, option: str
) -> None:
    """
    A device node or a setuid file on a user's own file system is root; fstab lines say `dev`.
    """
    result = mount(mountpoint, f"{option},ro", user=caller)

    assert (0, said(f"unsafe option {option} ignored")) == (result.exit_status, result.stderr)
    assert {"ro", "nosuid", "nodev", "relatime"} == mount_at(mountpoint).attributes


def test_root_may_ask_for_devices_and_setuid_files(mount: Mount, mountpoint: Path) -> None:
    """
    They are root's to give, on root's own mounts.
    """
    result = mount(mountpoint, "dev,suid,allow_other", user=ROOT)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert {"rw", "relatime"} == mount_at(mountpoint).attributes
    assert {"rw", "user_id=0", "group_id=0", "allow_other"} == mount_at(mountpoint).options


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("ro,wrong", "unknown option 'wrong'"),
        ("user=root", "unknown option 'user=root'"),
        ("context=a", "unknown option 'context=a'"),
        ("blkdev", "option blkdev is privileged"),
        (
            "allow_other",
            "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
        ),
        ("max_read=abc", "mount failed: Invalid argument [fuse: Bad value for 'max_read']"),
        (
            "blksize=512",
            "mount failed: Invalid argument [fuse: blksize only supported for fuseblk]",
        ),
        (f"fsname={'n' * 4096}", "mount options too long"),
    ],
)
def test_a_refused_option_is_named_before_anything_is_sent(
    mount: Mount, caller: User, mountpoint: Path, options: str, sentence: str
) -> None:
    """
    A libfuse 3.19 client waits for ever when sync-init fails after the device was sent.
    """
    assert refused(sentence) == mount(mountpoint, options, user=caller)
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize(
    ("options", "fstype", "source"),
    [
        ("", "fuse", b"/dev/fuse"),
        ("subtype=demo", "fuse.demo", b"demo"),
        ("fsname=here", "fuse", b"here"),
        ("fsname=a,fsname=b,subtype=c,subtype=d", "fuse.d", b"b"),
        ("fsname=a\\,b\\\\c", "fuse", b"a,b\\c"),
    ],
)
def test_source_and_type_are_what_people_see(
    mount: Mount, caller: User, mountpoint: Path, options: str, fstype: str, source: bytes
) -> None:
    """
    Scripts find their mounts by them.
    """
    assert 0 == mount(mountpoint, options, user=caller).exit_status

    assert (fstype, source) == (mount_at(mountpoint).fstype, mount_at(mountpoint).source)


@pytest.mark.parametrize("length", [255, 256, 300, 4000])
def test_a_long_name_is_mounted(mount: Mount, caller: User, mountpoint: Path, length: int) -> None:
    """
    The new interface takes 255 bytes, so longer ones go another way, with the same outcome.
    """
    result = mount(mountpoint, f"fsname={'n' * length},noexec,sync", user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    entry = mount_at(mountpoint)
    assert ("fuse", b"n" * length) == (entry.fstype, entry.source)
    assert {"rw", "nosuid", "nodev", "noexec", "relatime"} == entry.attributes
    ids = {f"user_id={caller.uid}", f"group_id={caller.gid}"}
    assert ids | {"rw", "sync"} == entry.options


def test_a_long_name_leaves_no_trace_where_proc_is_shared(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    It is mounted over /proc first, in a namespace that nobody sees: on a machine whose mounts are
    shared between namespaces, that must not be seen either.
    """
    kernel.mount("none", "/proc", flags=kernel.MS_SHARED)
    before = [entry.mount_id for entry in mounts()]
    try:
        assert 0 == ours.mount(mountpoint, f"fsname={'n' * 300}", user=caller).exit_status
        (new,) = [entry for entry in mounts() if entry.mount_id not in before]
    finally:
        kernel.mount("none", "/proc", flags=kernel.MS_PRIVATE)

    assert os.fsencode(mountpoint) == new.mountpoint


def test_a_long_subtype_is_mounted(mount: Mount, caller: User, mountpoint: Path) -> None:
    """
    The kernel holds no type to 255 bytes, only its new interface does.
    """
    assert 0 == mount(mountpoint, f"subtype={'t' * 300},fsname=a", user=caller).exit_status

    assert f"fuse.{'t' * 300}" == mount_at(mountpoint).fstype


@pytest.mark.parametrize("padding", [0, 300])
def test_a_name_forges_no_line_of_the_table(
    mount: Mount, caller: User, home: Path, mountpoint: Path, padding: int
) -> None:
    """
    Control characters in names once wrote entries of their own (CVE-2005-3531).
    """
    name = b'a\nb\tc d\\\\e"f\xff 1 0:1 / /x rw - fuse x rw\\,user_id=0' + b"n" * padding

    assert 0 == mount(mountpoint, b"fsname=" + name, user=caller).exit_status

    (entry,) = mounts_below(home)
    assert (os.fsencode(mountpoint), f"user_id={caller.uid}") == (
        entry.mountpoint,
        *(option for option in entry.options if option.startswith("user_id")),
    )
    assert name.replace(b"\\\\", b"\\").replace(b"\\,", b",") == entry.source
