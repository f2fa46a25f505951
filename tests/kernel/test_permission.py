"""Who may mount where: each rule of the contract's section 6, on a real inode."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.essential import essential_skip
from support.flows import refused, said
from support.mount_table import mount_at, mounts, mounts_at
from support.program import Program, Result
from support.users import ROOT, User

Mount = Callable[..., Result]
MS_RDONLY, MS_REMOUNT = 1, 32


def own(path: Path, uid: int, gid: int, mode: int) -> None:
    os.chown(path, uid, gid)
    path.chmod(mode)


def test_another_users_directory_is_no_mountpoint(
    mount: Mount, another_user: User, mountpoint: Path
) -> None:
    """
    Who covers a directory chooses what its owner's programs find there.
    """
    sentence = f"user has no write access to mountpoint {mountpoint}"

    assert refused(sentence) == mount(mountpoint, user=another_user)
    assert [] == mounts_at(mountpoint)


def test_another_users_sticky_directory_is_no_mountpoint(
    mount: Mount, caller: User, mountpoint: Path
) -> None:
    """
    Otherwise any user could hide /tmp from everyone else.
    """
    own(mountpoint, 0, 0, 0o1777)

    assert refused(f"mountpoint {mountpoint} not owned by user") == mount(mountpoint, user=caller)
    assert [] == mounts_at(mountpoint)


def test_ones_own_sticky_directory_is_a_mountpoint(
    mount: Mount, caller: User, mountpoint: Path
) -> None:
    """
    Its owner may rename what others put there, and so gains nothing by covering it.
    """
    own(mountpoint, caller.uid, caller.gid, 0o1777)

    assert 0 == mount(mountpoint, user=caller).exit_status
    assert mount_at(mountpoint)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (0o555, "user has no write access to mountpoint MNT"),
        (0o666, "failed to chdir to mountpoint: Permission denied"),
        (0o000, "failed to chdir to mountpoint: Permission denied"),
    ],
)
def test_a_directory_that_ones_own_mode_closes_is_no_mountpoint(
    mount: Mount, caller: User, mountpoint: Path, mode: int, sentence: str
) -> None:
    """
    The rule is what the caller may do, not whose the directory is.
    """
    own(mountpoint, caller.uid, caller.gid, mode)

    assert refused(sentence.replace("MNT", str(mountpoint))) == mount(mountpoint, user=caller)


def test_a_groups_directory_is_a_mountpoint_for_its_members(
    mount: Mount, caller: User, mountpoint: Path
) -> None:
    """
    Rights come from all of the caller's groups, and from none that the caller is not in.
    """
    own(mountpoint, 0, 61500, 0o770)

    sentence = "failed to chdir to mountpoint: Permission denied"
    assert refused(sentence) == mount(mountpoint, user=caller)
    assert 0 == mount(mountpoint, user=caller._replace(groups=(61500,))).exit_status


def test_a_directory_on_a_read_only_file_system_is_no_mountpoint(
    mount: Mount, caller: User, mountpoint: Path
) -> None:
    """
    Nobody may write there, whatever its mode says.
    """
    kernel.mount("tmpfs", mountpoint, "tmpfs", options=f"uid={caller.uid},mode=0755")
    kernel.mount("", mountpoint, flags=MS_REMOUNT | MS_RDONLY)

    sentence = f"user has no write access to mountpoint {mountpoint}"
    assert refused(sentence) == mount(mountpoint, user=caller)


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_file_that_the_caller_cannot_write_is_no_mountpoint(
    mount: Mount, caller: User, mountpoint: Path, mode: int
) -> None:
    """
    /etc/passwd, covered by a file of anyone's choice.
    """
    path = mountpoint / "file"
    path.touch()
    own(path, caller.uid, caller.gid, mode)

    sentence = f"failed to open {path}: Permission denied"
    assert refused(sentence) == mount(path, user=caller)


def make_symlink(path: Path) -> None:
    path.symlink_to(path.parent)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


@pytest.mark.parametrize("make", [make_symlink, os.mkfifo, make_socket, make_device])
def test_nothing_but_a_directory_or_a_file_is_a_mountpoint(
    mount: Mount, caller: User, mountpoint: Path, make: Callable[[Path], None]
) -> None:
    """
    A symlink leads to what another may choose; opening the others may do things.
    """
    path = mountpoint / "other"
    make(path)
    os.chown(path, caller.uid, caller.gid, follow_symlinks=False)

    sentence = f"mountpoint {path} is not a directory or a regular file"
    assert refused(sentence) == mount(path, user=caller)


@pytest.mark.parametrize("fstype", ["bpf", "devpts", "ramfs", "tmpfs"])
def test_only_some_file_systems_may_be_mounted_over(
    mount: Mount, caller: User, mountpoint: Path, fstype: str
) -> None:
    """
    Programs trust what stands under a name in /proc and its like, whoever may write there.
    """
    try:
        # Each mount of these is a file system of its own; cgroup2, say, would be the machine's.
        kernel.mount(fstype, mountpoint, fstype)
    except OSError as error:
        essential_skip(f"needs {fstype} in the kernel: {error}")
    own(mountpoint, caller.uid, caller.gid, 0o755)

    result = mount(mountpoint, user=caller)

    magic = {"bpf": "cafe4a11", "devpts": "00001cd1"}
    if fstype in magic:
        sentence = f"mounting over filesystem type 0x{magic[fstype]} is forbidden"
        assert refused(sentence) == result
    else:
        assert (0, b"") == (result.exit_status, result.stderr)


def test_a_file_in_proc_is_no_mountpoint(mount: Mount, caller: User) -> None:
    """
    The caller may write there, and systemd, say, believes it (ecryptfs, CVE-2016-1572).
    """
    sentence = "mounting over filesystem type 0x00009fa0 is forbidden"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=caller.uid) as process:
        assert refused(sentence) == mount(f"/proc/{process.pid}/comm", user=caller)
        process.communicate()


def test_what_is_missing_is_told_in_the_words_that_callers_compare(
    mount: Mount, caller: User, mountpoint: Path
) -> None:
    """
    Bazil's fuse package reads this line.
    """
    path = mountpoint / "missing"

    sentence = f"failed to access mountpoint {path}: No such file or directory"
    assert refused(sentence) == mount(path, user=caller)


@pytest.mark.parametrize("name", ["present", "missing", "present/below", "missing/below"])
def test_a_refusal_does_not_tell_what_a_closed_directory_holds(
    mount: Mount, caller: User, mountpoint: Path, name: str
) -> None:
    """
    The helper looks things up as the caller, so it cannot say more (CVE-2013-0157).
    """
    (mountpoint / "present").mkdir()
    own(mountpoint, 0, 0, 0o700)
    path = mountpoint / name

    opening = "bad mount point" if name.endswith("below") else "failed to access mountpoint"
    assert refused(f"{opening} {path}: Permission denied") == mount(path, user=caller)


def test_a_missing_device_is_told_as_a_missing_module(
    mount: Mount, caller: User, mountpoint: Path, bare_dev: Path
) -> None:
    """
    It is what is wrong on such a machine.
    """
    sentence = "fuse device /dev/fuse not found. Kernel module not loaded?"

    assert refused(sentence) == mount(mountpoint, user=caller)
    os.mknod(bare_dev / "fuse", stat.S_IFCHR | 0o666, os.makedev(10, 252))
    (bare_dev / "fuse").chmod(0o666)
    assert refused(sentence) == mount(mountpoint, user=caller)


def test_of_several_wrongs_the_first_is_told(
    ours: Program,
    another_user: User,
    mountpoint: Path,
    bare_dev: Path,
    fuse_conf: Callable[[str], None],
) -> None:
    """
    Programs tried one after the other on the same broken machine must say the same.
    """
    fuse_conf("mount_max = 0\n")
    closed = mountpoint / "closed"
    closed.mkdir()
    own(closed, 0, 0, 0o700)

    def first_wrong(path: Path, comm: socket.SocketKind | None = socket.SOCK_STREAM) -> bytes:
        result = ours.run("-o", "wrong", "--", path, user=another_user, comm=comm)
        assert 1 == result.exit_status
        return result.stderr

    assert said(f"bad mount point {closed}/a/b: Permission denied") == first_wrong(
        closed / "a" / "b", comm=None
    )
    assert said("old style mounting not supported") == first_wrong(mountpoint, comm=None)
    sentence = "fuse device /dev/fuse not found. Kernel module not loaded?"
    assert said(sentence) == first_wrong(mountpoint)
    os.mknod(bare_dev / "fuse", stat.S_IFCHR | 0o666, os.makedev(10, 229))
    assert said("failed to open /dev/fuse: Permission denied") == first_wrong(mountpoint)
    (bare_dev / "fuse").chmod(0o666)
    sentence = "too many FUSE filesystems mounted; mount_max=N can be set in /etc/fuse.conf"
    assert said(sentence) == first_wrong(mountpoint)
    fuse_conf("")
    sentence = f"user has no write access to mountpoint {mountpoint}"
    assert said(sentence) == first_wrong(mountpoint)
    own(mountpoint, another_user.uid, another_user.gid, 0o755)
    assert said("unknown option 'wrong'") == first_wrong(mountpoint)


def test_root_is_held_by_none_of_these_rules(
    mount: Mount, mountpoint: Path, fuse_conf: Callable[[str], None]
) -> None:
    """
    They protect other users' files from a user; root could write there anyway.
    """
    fuse_conf("mount_max = 0\n")
    kernel.mount("devpts", mountpoint, "devpts")
    own(mountpoint, 61002, 61002, 0o1000)

    result = mount(mountpoint, user=ROOT)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert "fuse" == mounts_at(mountpoint)[-1].fstype


def test_root_must_name_a_mountpoint_as_well(mount: Mount, mountpoint: Path) -> None:
    """
    The kernel would mount on a FIFO as on a file.
    """
    path = mountpoint / "fifo"
    os.mkfifo(path)
    before = mounts()

    sentence = f"mountpoint {path} is not a directory or a regular file"
    assert refused(sentence) == mount(path, user=ROOT)
    assert before == mounts()
