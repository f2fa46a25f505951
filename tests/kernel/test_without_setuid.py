"""Without the setuid bit: the same program, with whatever rights it has (contract, section 9)."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import kernel, machine
from support.essential import essential_skip
from support.flows import classic, refused
from support.mount_table import mounts, mounts_at
from support.program import Program
from support.users import User

NOT_PERMITTED = "Operation not permitted"


@pytest.fixture
def not_setuid(ours: Program) -> Iterator[None]:
    """As a package manager leaves it when nobody chose the setuid bit."""
    os.chmod(ours.path, 0o755)
    yield
    os.chmod(ours.path, 0o4755)


@pytest.fixture
def nosuid(ours: Program) -> Iterator[None]:
    """As in a container, or in a home directory on a careful machine."""
    kernel.mount(machine.PREFIX, machine.PREFIX, flags=kernel.MS_BIND)
    kernel.mount("", machine.PREFIX, flags=kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_NOSUID)
    yield
    kernel.umount(machine.PREFIX)


def assert_refused_with(reason: str, program: Program, user: User, path: Path, **how: Any) -> None:
    sentence = f"mount failed: {NOT_PERMITTED} ({reason})"

    assert refused(sentence) == classic(program, path, user=user, **how)
    assert [] == mounts_at(path)


def test_a_helper_that_is_not_setuid_says_so(
    ours: Program, caller: User, mountpoint: Path, not_setuid: None
) -> None:
    """
    The first thing that goes wrong with an installation by hand.
    """
    assert_refused_with(f"{ours.path} is not setuid root", ours, caller, mountpoint)


def test_a_helper_on_a_nosuid_file_system_says_so(
    ours: Program, caller: User, mountpoint: Path, nosuid: None
) -> None:
    """
    Its mode looks right, so the mode is the last thing to look at.
    """
    reason = f"{ours.path} lies on a file system mounted nosuid"

    assert_refused_with(reason, ours, caller, mountpoint)


def test_a_helper_under_no_new_privs_says_so(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Sandboxes set it, and nothing else tells their users.
    """
    reason = f"no_new_privs is set: the setuid bit of {ours.path} does not count here"

    assert_refused_with(reason, ours, caller, mountpoint, preexec_fn=kernel.set_no_new_privs)


def test_a_copy_that_is_not_setuid_says_so(
    ours: Program, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    The installed helper is in order; the one that was started is another.
    """
    copy = Program(str(shutil.copy(ours.path, home / "fusermount3")))
    os.chmod(copy.path, 0o755)
    reason = f"{ours.path} is setuid, but was not started through its setuid bit"

    assert_refused_with(reason, copy, caller, mountpoint)
    copy.clean_up()


@pytest.mark.parametrize("options", [(), ("-z",)])
def test_an_unmount_without_rights_says_why(
    ours: Program, caller: User, mountpoint: Path, options: tuple[str, ...]
) -> None:
    """
    The mount stays, and its user can find out what to do.
    """
    ours.mount(mountpoint, user=caller)

    result = ours.unmount(mountpoint, *options, user=caller, preexec_fn=kernel.set_no_new_privs)

    reason = f"no_new_privs is set: the setuid bit of {ours.path} does not count here"
    sentence = f"failed to unmount {mountpoint}: {NOT_PERMITTED} ({reason})"
    assert refused(sentence) == result
    assert 1 == len(mounts_at(mountpoint))


def test_what_needs_no_rights_is_answered(
    ours: Program, caller: User, mountpoint: Path, not_setuid: None
) -> None:
    """
    Refusals come first, in the same words as ever.
    """
    assert refused("unknown option 'x'") == classic(ours, mountpoint, "x", user=caller)
    assert 0 == ours.run("-V", user=caller, comm=None).exit_status


@pytest.fixture
def in_namespace(ours: Program, caller: User) -> Iterator[Program]:
    """The helper, started by `unshare` in user and mount namespaces of the caller's own."""
    probe = Program("/usr/bin/unshare")
    if probe.run("-Urm", "true", user=caller, comm=None).exit_status != 0:
        essential_skip("needs user namespaces for ordinary users")
    yield probe
    probe.clean_up()


@pytest.mark.parametrize("words", ["", "--sync-init"])
def test_in_ones_own_user_namespace_ones_own_rights_are_enough(
    in_namespace: Program, ours: Program, caller: User, mountpoint: Path, words: str
) -> None:
    """
    There the setuid bit does not count, and the caller is root of its own mounts.
    """
    script = f'"$@" && grep " - fuse" /proc/self/mountinfo && "{ours.path}" -u "{mountpoint}"'
    helper = [ours.path, *words.split(), "-o", "fsname=inside,subtype=demo", "--", str(mountpoint)]
    running = in_namespace.start("-Urm", "sh", "-c", script, "sh", *helper, user=caller)
    assert running.receive_device()
    if words:
        running.proceed()
        assert 0 == running.read_status()

    exit_status, stdout, stderr, _ = running.wait()

    assert (0, b"") == (exit_status, stderr)
    assert f" {mountpoint} rw,nosuid,nodev".encode() in stdout
    assert b" - fuse.demo inside rw,user_id=0,group_id=0" in stdout
    assert [] == mounts_at(mountpoint)


def test_a_forged_configuration_counts_where_it_was_forged_only(
    in_namespace: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A user may put any /etc/fuse.conf into the user's own namespace; the machine's stays closed.
    """
    forged = mountpoint / "fuse.conf"
    forged.write_text("user_allow_other\n")
    script = 'mount --bind "$0" /etc/fuse.conf && exec "$@"'
    helper = [ours.path, "-o", "allow_other", "--", str(mountpoint)]
    before = mounts()

    running = in_namespace.start("-Urm", "sh", "-c", script, forged, *helper, user=caller)
    running.wait()

    assert before == mounts()
    assert 1 == classic(ours, mountpoint, "allow_other", user=caller).exit_status
