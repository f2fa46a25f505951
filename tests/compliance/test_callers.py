"""Each library's way of calling: contract, section 11, one test for each row of its table."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from compliance.likeness import Outcome, mount_outcome

from support import kernel
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User


def test_libfuse_of_3_0_to_3_18(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    Its option text has numbers that were meant for mount(2), and its name is what is shown.
    """
    numbers = f"fd=3,rootmode=40000,user_id={caller.uid},group_id={caller.gid}"
    options = f"rw,nosuid,nodev,fsname=demo,subtype=sub,max_read=131072,{numbers}"

    mounted = helper.mount(mountpoint, options, user=caller)
    entry = mount_at(mountpoint)
    unmounted = helper.run(
        "--unmount", "--quiet", "--lazy", "--", mountpoint, user=caller, comm=None
    )

    assert (0, b"", b"") == mounted[:3]
    assert ("fuse.sub", b"demo") == (entry.fstype, entry.source)
    assert "max_read=131072" in entry.options
    assert (0, b"", b"") == unmounted[:3]
    assert [] == mounts_at(mountpoint)


def test_libfuse_tries_again_without_the_subtype(
    helper: Program, caller: User, mountpoint: Path
) -> None:
    """
    The first call's stderr goes nowhere; the user sees the second one's.
    """
    calls = [
        helper.mount(mountpoint, f"{options},bogus", user=caller, argv0=b"/usr/bin/fusermount3")
        for options in ("fsname=demo,subtype=sub", "fsname=sub#demo")
    ]

    assert [b"/usr/bin/fusermount3: unknown option 'bogus'\n"] * 2 == [
        call.stderr for call in calls
    ]


def test_libfuse_of_3_19(theirs: Program, ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Two-phase mounting is its ordinary way, auto_unmount included. A 3.14.0 helper refuses the
    option before anything is sent, and the library falls back.
    """
    refused = theirs.start_sync_init(mountpoint, "rw", user=caller)
    assert refused.receive() == (b"", ())
    assert b"fusermount3: unrecognized option '--sync-init'\n" == refused.wait().stderr

    running = ours.start_sync_init(mountpoint, "fsname=demo,auto_unmount", user=caller)
    device = running.receive_device()
    running.proceed()

    assert 0 == running.read_status()
    assert b"demo" == mount_at(mountpoint).source
    device.close()
    running.comm.close()
    assert 0 == running.wait().exit_status


def test_go_fuse(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    The mountpoint first, nothing but the number 3 in the environment, SEQPACKET; it waits for the
    exit before it reads, and any word on stderr fails its unmount.
    """
    running = helper.start(
        mountpoint, "-o", "fsname=demo", user=caller, comm=socket.SOCK_SEQPACKET, comm_fd=30
    )
    assert (0, b"", b"") == running.wait()[:3]
    assert running.receive_device()

    assert (0, b"", b"") == helper.run("-u", mountpoint, user=caller, comm=None)[:3]


def test_bazil(helper: Program, caller: User, mountpoint: Path, home: Path) -> None:
    """
    It compares the whole line of this failure.
    """
    missing = home / "missing"

    failed = helper.mount(missing, "fsname=demo", user=caller, argv0="fusermount")
    mounted = helper.mount(mountpoint, "fsname=demo", user=caller, argv0="fusermount")

    line = f"fusermount: failed to access mountpoint {missing}: No such file or directory\n"
    assert (1, b"", line.encode()) == failed[:3]
    assert (0, b"", b"") == mounted[:3]


def test_fuser(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    It looks for these words, and escapes the commas of its name.
    """
    refused = helper.mount(mountpoint, "allow_other", user=caller)
    mounted = helper.mount(mountpoint, r"fsname=a\,b", user=caller)

    assert b"only allowed if 'user_allow_other' is set" in refused.stderr
    assert 0 == mounted.exit_status
    assert b"a,b" == mount_at(mountpoint).source


def test_fuse3_rs(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    No `--` before the mountpoint.
    """
    outcome = mount_outcome(
        helper, "-o", "fsname=demo", mountpoint, user=caller, comm=socket.SOCK_SEQPACKET
    )

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]


@pytest.mark.parametrize("program", ["ours", "theirs"])
def test_fuse_backend_rs_enters_a_mount_namespace_first(
    request: pytest.FixtureRequest, program: str, caller: User, mountpoint: Path
) -> None:
    """
    The mount then is made there, and here nothing is seen of it.
    """
    path = request.getfixturevalue(program).path
    ours_end, their_end = socket.socketpair()
    mount_it = [path, "-o", "fsname=demo", "--", str(mountpoint)]
    identity = [f"--reuid={caller.uid}", f"--regid={caller.gid}", "--clear-groups"]

    result = subprocess.run(
        ["unshare", "-m", "setpriv", *identity, *mount_it],
        env={"_FUSE_COMMFD": str(their_end.fileno()), "PATH": "/usr/bin"},
        pass_fds=[their_end.fileno()],
        capture_output=True,
        check=False,
    )
    their_end.close()
    payload, descriptors, _, _ = socket.recv_fds(ours_end, 1, 1)
    os.close(descriptors[0])
    ours_end.close()

    assert (0, b"", b"") == (result.returncode, result.stdout, result.stderr)
    assert b"\0" == payload
    assert [] == mounts_at(mountpoint)


def test_the_appimage_runtime_looks_for_a_setuid_file_of_roots(helper: Program) -> None:
    """
    It takes the first fusermount in PATH that is one, and asks it for its version.
    """
    status = os.stat(helper.path)

    assert (0, 0o4755) == (status.st_uid, status.st_mode & 0o7777)


def test_gvfs_and_the_document_portal(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    Three letters apart, before a mount at start-up to clear what an earlier crash has left.
    """
    words = ("-u", "-q", "-z", mountpoint)
    nothing = mount_outcome(helper, *words, user=caller, comm=None)
    helper.mount(mountpoint, "fsname=portal,subtype=portal", user=caller)
    cleared = mount_outcome(helper, *words, user=caller, comm=None)

    assert Outcome(1, b"", nothing.stderr) == nothing
    assert (0, b"", b"", 1) == (*cleared[:3], len(cleared.gone))


def test_libfuse_2_calls_fusermount(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    `make install` puts the old name beside it; archivemount and others are of that time.
    """
    old_name = Program(str(Path(ours.path).with_name("fusermount")))
    result = old_name.mount(mountpoint, "fsname=demo", user=caller, argv0="fusermount")
    assert result.device is not None
    result.device.close()
    old_name.clean_up()

    assert (0, b"", b"") == result[:3]
    assert b"demo" == mount_at(mountpoint).source


def test_the_owners_plain_umount_works(helper: Program, caller: User, mountpoint: Path) -> None:
    """
    umount(8) knows FUSE: whoever the kernel's table names as user_id may unmount.
    """
    umount = shutil.which("umount")
    assert umount is not None
    helper.mount(mountpoint, "subtype=demo", user=caller)

    result = subprocess.run(
        [umount, mountpoint], user=caller.uid, group=caller.gid, extra_groups=(), check=False
    )

    assert 0 == result.returncode
    assert [] == mounts_at(mountpoint)


def test_a_mountpoint_below_a_shared_mount_is_seen_in_its_peers(
    helper: Program, caller: User, mountpoint: Path, home: Path
) -> None:
    """
    On desktops everything is shared, and containers and sandboxes look through slaves of it.
    """
    kernel.mount("tmpfs", home, "tmpfs", options=f"uid={caller.uid}")
    kernel.mount("", home, flags=1 << 20)  # MS_SHARED
    peer = home.with_name(home.name + "-peer")
    peer.mkdir()
    kernel.mount(home, peer, flags=kernel.MS_BIND)
    (home / "here").mkdir()
    os.chown(home / "here", caller.uid, caller.gid)

    helper.mount(home / "here", "fsname=demo", user=caller)

    assert b"demo" == mount_at(peer / "here").source
    assert 0 == helper.unmount(home / "here", user=caller).exit_status
    assert [] == mounts_at(peer / "here")
    kernel.umount(peer)
    peer.rmdir()
