"""`fusermount-py doctor`: each obstacle, put in the way, is found and has its remedy."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import kernel
from support.admin import Admin, Serve
from support.mount_table import mounts_at
from support.program import Program
from support.refuse_ioctl import refuse_sync_init
from support.users import ROOT, User


def findings(
    admin: Admin, *words: str | Path, user: User, **popen: Any
) -> dict[str, dict[str, str]]:
    """By name; of several with one name the last counts."""
    return {each["name"]: each for each in admin.json("doctor", *words, user=user, **popen)}


def as_root_first(
    admin: Admin, user: User, prepare: Callable[[], object]
) -> dict[str, dict[str, str]]:
    """The findings of a user whose process was put into a state by root."""

    def become() -> None:
        prepare()
        user.become()

    return findings(admin, user=ROOT, preexec_fn=become)


def test_where_all_is_well_nothing_is_wrong(admin: Admin, caller: User, mountpoint: Path) -> None:
    """
    A doctor that finds something in everyone is asked by nobody.
    """
    result = admin.run("doctor", mountpoint, user=caller)

    assert 0 == result.exit_status, result
    assert b"failed" not in result.stdout
    assert b"the helper would mount" in result.stdout
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize(
    ("options", "prepare"),
    [
        ("", lambda path: path.chmod(0o1777)),
        ("", lambda path: os.chown(path, 0, 0)),
        ("", lambda path: path.rmdir()),
        ("allow_other", lambda _: None),
        ("bogus", lambda _: None),
        ("blkdev", lambda _: None),
        ("max_read=abc", lambda _: None),
    ],
    ids=["sticky", "of root", "missing", "allow_other", "bogus", "blkdev", "max_read"],
)
def test_a_refusal_is_the_very_sentence_of_a_mount(
    admin: Admin,
    ours: Program,
    caller: User,
    mountpoint: Path,
    options: str,
    prepare: Callable[[Path], None],
) -> None:
    """
    Advice about a rule that the helper does not have would send people the wrong way.
    """
    prepare(mountpoint)
    if options == "" and mountpoint.exists() and mountpoint.stat().st_mode & 0o1000:
        os.chown(mountpoint, 0, 0)
    refused = ours.mount(mountpoint, options, user=caller)

    words = ["-o", options] if options else []
    finding = findings(admin, mountpoint, *words, user=caller)[f"mount at {mountpoint}"]

    assert "failed" == finding["status"]
    assert refused.stderr.decode() == f"fusermount3: {finding['found']}\n"


def test_a_mountpoint_that_hangs_is_found(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    Whoever mounts over a mount of the day before has just this, and must not wait for the answer.
    """
    serve(mountpoint).peer.stop()

    finding = findings(admin, mountpoint, user=caller)[f"mount at {mountpoint}"]

    expected = "the file system at the mountpoint, or on the way to it, does not answer"
    assert ("failed", expected) == (finding["status"], finding["found"])


def test_a_path_variable_that_leads_through_a_hung_mount_is_found(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    Every program that a shell is asked for is looked for there, too.
    """
    serve(mountpoint).peer.stop()
    admin.environment["PATH"] = f"{mountpoint}:{admin.environment['PATH']}"

    finding = findings(admin, user=caller)["helper"]

    assert ("failed", "a folder on PATH does not answer") == (finding["status"], finding["found"])
    assert "a mount that hangs" in finding["remedy"]


def test_the_c_helper_that_cannot_rehearse_is_answered_for_by_the_rules(
    admin: Admin, theirs: Program, caller: User, mountpoint: Path
) -> None:
    """
    Distributions have it for years to come.
    """
    admin.environment["PATH"] = "/usr/bin:/bin"

    name = f"mount at {mountpoint}"
    allowed = findings(admin, mountpoint, user=caller)[name]
    refused = findings(admin, mountpoint, "-o", "allow_other", user=caller)[name]

    assert ("ok", "failed") == (allowed["status"], refused["status"])
    assert "cannot rehearse" in allowed["found"]
    assert refused["found"].startswith("option allow_other only allowed if 'user_allow_other'")


def test_a_device_that_the_user_may_not_open_is_found(admin: Admin, caller: User) -> None:
    """
    The most frequent reason inside containers.
    """
    mode = os.stat("/dev/fuse").st_mode
    os.chmod("/dev/fuse", 0o600)
    try:
        finding = findings(admin, user=caller)["device node"]
    finally:
        os.chmod("/dev/fuse", mode)

    assert ("failed", "/dev/fuse: Permission denied") == (finding["status"], finding["found"])
    assert "chmod 0666 /dev/fuse" in finding["remedy"]


def test_a_device_on_a_nodev_file_system_is_found(admin: Admin, caller: User) -> None:
    """
    The mode looks right then, and opening fails all the same.
    """
    kernel.mount("/dev/fuse", "/dev/fuse", flags=kernel.MS_BIND)
    kernel.mount("none", "/dev/fuse", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NODEV)
    try:
        finding = findings(admin, user=caller)["device node"]
    finally:
        kernel.umount("/dev/fuse")

    assert "failed" == finding["status"]
    assert "nodev" in finding["remedy"]


def test_what_the_helper_can_is_what_libfuse_hears(
    admin: Admin, theirs: Program, caller: User
) -> None:
    """
    Else nobody finds out why a new library still mounts in the old way.
    """
    both = "FUSERMOUNT_FEATURE_NEW_MOUNT_API FUSERMOUNT_FEATURE_SYNC_INIT"
    assert both == findings(admin, user=caller)["features"]["found"]

    admin.environment["PATH"] = os.path.dirname(theirs.path)
    found = findings(admin, user=caller)["features"]["found"]
    assert "not told by this helper: libfuse 3.19 mounts in the classic way" == found


def test_no_new_privs_is_found(admin: Admin, caller: User) -> None:
    """
    Sandboxes and hardened units set it, and the helper then only says "not permitted".
    """
    found = admin.run("doctor", user=caller, preexec_fn=kernel.set_no_new_privs)

    assert 1 == found.exit_status
    assert b"the setuid bit does not count here" in found.stdout


def test_a_device_that_the_control_group_forbids_is_found(admin: Admin, caller: User) -> None:
    """
    The mode is right, the device is there, and a container still may not open it.
    """
    group = Path(f"/sys/fs/cgroup/devices/fusermount-py-{os.getpid()}")
    if not (group.parent / "cgroup.procs").exists():
        pytest.skip("needs the device controller of control groups, version 1")
    group.mkdir()
    try:
        (group / "devices.deny").write_text("c 10:229 rwm")
        finding = as_root_first(
            admin, caller, lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
        )["device node"]
    finally:
        group.rmdir()

    assert ("failed", "/dev/fuse: Operation not permitted") == (
        finding["status"],
        finding["found"],
    )
    assert "allow c 10:229 rwm" in finding["remedy"]


def test_a_seccomp_filter_is_found_and_what_it_takes_away(admin: Admin, caller: User) -> None:
    """
    It answers for the kernel, whose version then says nothing about what is there.
    """
    found = as_root_first(admin, caller, refuse_sync_init)

    assert "a filter is active in this process" == found["seccomp"]["found"]
    assert ", no SYNC_INIT," in found["kernel features"]["found"]


def test_a_user_namespace_is_found(admin: Admin, caller: User) -> None:
    """
    A setuid helper from outside is anything but root there.
    """
    finding = findings(admin, user=caller, preexec_fn=lambda: kernel.unshare(kernel.CLONE_NEWUSER))[
        "user namespace"
    ]

    assert "warning" == finding["status"]
    assert "unshare --user --map-root-user" in finding["remedy"]


def test_a_helper_on_a_nosuid_file_system_is_found(
    admin: Admin, ours: Program, caller: User, home: Path
) -> None:
    """
    The bit is there to be seen, and counts for nothing.
    """
    kernel.mount("tmpfs", home, "tmpfs", flags=kernel.MS_NOSUID, options="mode=0755")
    copy = home / "fusermount3"
    copy.write_bytes(Path(ours.path).read_bytes())
    copy.chmod(0o4755)
    admin.environment["PATH"] = f"{home}:/usr/bin:/bin"

    found = findings(admin, user=caller)
    kernel.umount(home)

    assert ("ok", "failed") == (
        found["setuid bit"]["status"],
        found["nosuid file system"]["status"],
    )
    assert "not mounted nosuid" in found["nosuid file system"]["remedy"]


def test_a_helper_without_its_setuid_bit_is_found(
    admin: Admin, ours: Program, caller: User, home: Path
) -> None:
    """
    Copies, backups and some package managers lose it.
    """
    copy = home / "fusermount3"
    copy.write_bytes(Path(ours.path).read_bytes())
    copy.chmod(0o755)
    admin.environment["PATH"] = f"{home}:/usr/bin:/bin"

    finding = findings(admin, user=caller)["setuid bit"]

    assert "failed" == finding["status"]
    assert f"chmod 4755 {copy}" in finding["remedy"]


def test_no_helper_at_all_is_found(admin: Admin, caller: User, home: Path) -> None:
    """
    A FUSE program then says something about exec, if anything.
    """
    (home / "python3").symlink_to("/usr/bin/python3")
    admin.environment["PATH"] = str(home)

    finding = findings(admin, user=caller)["helper"]

    assert "failed" == finding["status"]
    assert "install" in finding["remedy"]


def test_warnings_about_fuse_conf_are_those_of_a_mount(
    admin: Admin, caller: User, fuse_conf: Callable[..., None]
) -> None:
    """
    A misspelt user_allow_other looks as if it were there.
    """
    fuse_conf("user_alow_other\n")

    result = admin.run("doctor", user=caller)

    assert b"unknown parameter in /etc/fuse.conf at line 1: 'user_alow_other'" in result.stdout


def test_a_full_mount_max_is_found(
    admin: Admin, caller: User, fuse_conf: Callable[..., None]
) -> None:
    """
    It is the administrator's number that is in the way, not the user's mountpoint.
    """
    fuse_conf("mount_max = 0\n")

    finding = findings(admin, user=caller)["fuse.conf"]

    assert "failed" == finding["status"]
    assert "raise mount_max" in finding["remedy"]
