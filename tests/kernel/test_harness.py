"""The harness itself, on Debian's own helper: a test on sand proves nothing."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from support import kernel, leaks
from support.essential import essential_skip
from support.mount_table import mount_at, mounts, mounts_at
from support.program import END_OF_FILE, Program
from support.users import User


def test_a_served_mount_answers_its_owner_and_dies_with_its_server(
    theirs: Program, caller: User, mountpoint: Path
) -> None:
    """
    Every test of dead, hung and living mounts stands on this peer.
    """
    result = theirs.mount(mountpoint, "fsname=harness,subtype=peer", user=caller)
    assert (0, b"") == (result.exit_status, result.stderr)
    assert result.device is not None
    peer = theirs.serve(result.device)
    result.device.close()

    assert 2 == caller.call(os.stat, mountpoint).st_nlink
    entry = mount_at(mountpoint)
    assert ("fuse.peer", b"harness") == (entry.fstype, entry.source)
    assert {"nosuid", "nodev"} <= entry.attributes
    assert f"user_id={caller.uid}" in entry.options

    peer.kill()
    with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
        caller.call(os.stat, mountpoint)


def test_a_refused_mount_sends_nothing_and_is_seen_as_end_of_file(
    theirs: Program, another_user: User, mountpoint: Path
) -> None:
    """
    Otherwise a test could take a helper's silence for its consent.
    """
    running = theirs.start("--", mountpoint, user=another_user)

    assert END_OF_FILE == running.receive()
    assert 1 == running.wait().exit_status
    assert [] == mounts_at(mountpoint)


def test_the_installed_helper_is_setuid_root(installed_helper: str) -> None:
    """
    Every test of an ordinary caller's mount would else test root's.
    """
    status = os.stat(installed_helper)

    assert (0o104755, 0) == (status.st_mode, status.st_uid)


def test_sync_init_can_be_armed_where_the_kernel_has_it(private_machine: None) -> None:
    """
    The peer must tell an old kernel from a broken request.
    """
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])

    with open("/dev/fuse", "rb+", buffering=0) as device:
        assert (release >= (6, 18)) == kernel.arm_sync_init(device)


def test_what_a_test_leaves_behind_is_found_and_taken(
    nothing_left: None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A helper that hangs as root, or a mount outside the scratch directory, must turn the test
    that caused it red, and not the next one.
    """
    monkeypatch.setattr(leaks, "GRACE", 0)
    before = mounts()
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE)
    shell.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
    kernel.mount("tmpfs", "/mnt", "tmpfs")
    kernel.mount("tmpfs", "/mnt", "tmpfs")
    (home / "setuid").touch()
    (home / "setuid").chmod(0o4755)

    assert 2 == len(leaks.processes_left()), "the orphan of the first included"
    shell.communicate()
    assert 2 == len(leaks.mounts_left(before))
    assert [f"setuid file {home / 'setuid'}"] == leaks.setuid_files_left()
    assert [] == leaks.processes_left()
    assert [] == leaks.mounts_left(before)


def test_what_a_user_cannot_do_is_an_exception_here(
    nothing_left: None, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    Root's own eyes see through every permission; User.call must not.
    """
    mountpoint.chmod(0o700)

    assert [] == caller.call(os.listdir, mountpoint)
    with pytest.raises(PermissionError):
        another_user.call(os.listdir, mountpoint)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_an_essential_skip_is_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """
    A suite that skips what matters is green for the wrong reason.
    """
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="no kernel"):
        essential_skip("no kernel")
