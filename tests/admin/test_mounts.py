"""`fusermount-py mounts`, on real servers in every state."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support import kernel
from support.admin import DISCONNECTED, Admin, Asking, Serve
from support.program import Program
from support.users import User


def test_a_living_mount_is_shown_with_its_server(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    The first question about a mount is whose it is and which process serves it.
    """
    served = serve(mountpoint)

    row = admin.row(mountpoint)

    assert ("alive", 0) == (row["state"], row["waiting"])
    assert ("fuse.demo", "demo", caller.uid) == (row["type"], row["source"], row["owner"])
    assert served.connection == row["connection"]
    assert [served.peer.pid] == [server["pid"] for server in row["servers"]]


def test_a_mount_whose_server_was_killed_is_dead(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    It looks like any other in the mount table, and every program that meets it fails.
    """
    serve(mountpoint).peer.kill()

    row = admin.row(mountpoint)

    assert ("dead", []) == (row["state"], row["servers"])


def test_a_mount_whose_server_is_stopped_is_hung(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    Whoever touches it waits for ever; this command is what one still can run then.
    """
    serve(mountpoint).peer.stop()

    assert "hung" == admin.row(mountpoint)["state"]


def test_a_server_that_sleeps_over_a_request_is_hung(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path
) -> None:
    """
    A deadlocked server looks healthy to ps; only the requests that wait give it away.
    """
    served = serve(mountpoint, statfs=None)
    asking = Asking(caller, mountpoint)
    while (row := admin.row(mountpoint))["waiting"] == 0:
        continue
    served.peer.kill()

    assert ("hung", 1) == (row["state"], row["waiting"])
    assert asking.errno() in DISCONNECTED


def test_a_server_that_has_not_answered_init_is_starting(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    A mount that is just being made must not be taken for a hung one.
    """
    serve(mountpoint, init=None)

    row = admin.row(mountpoint)

    assert ("starting", 1) == (row["state"], row["waiting"])


def test_a_mount_whose_device_is_still_on_its_way_is_starting(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Nobody holds the device while it lies in the comm socket; that is not a dead mount.
    """
    running = ours.start("--", mountpoint, user=caller)
    running.process.wait()

    row = admin.row(mountpoint)

    assert ("starting", []) == (row["state"], row["servers"])


@pytest.mark.parametrize(
    "name", ["two words", "line\nbreak", "tab\there", 'quote"s', "back\\slash"]
)
def test_any_name_is_shown_on_one_line_and_in_json_as_it_is(
    admin: Admin, serve: Serve, home: Path, name: str
) -> None:
    """
    A name that breaks the lines of a table could show mounts that are not there.
    """
    serve(home / name)

    assert "alive" == admin.row(home / name)["state"]
    lines = admin.run("mounts").stdout.decode().splitlines()
    assert 2 == len(lines)
    printed = name.replace("\n", "\\012").replace("\t", "\\011")
    assert lines[1].startswith(str(home / printed))


def test_a_name_that_is_no_utf8_survives_json(admin: Admin, serve: Serve, home: Path) -> None:
    """
    Paths are bytes; a listing that dies of one would be of no use on that machine at all.
    """
    path = home / os.fsdecode(b"\xff\xfe")
    serve(path)

    assert "alive" == admin.row(path)["state"]
    assert b"\\377\\376" in admin.run("mounts").stdout


def test_stacked_mounts_are_both_shown_and_the_lower_one_as_covered(
    admin: Admin, serve: Serve, ours: Program, mountpoint: Path
) -> None:
    """
    The path leads to the upper one only; who sees one line would unmount the wrong one.
    """
    serve(mountpoint, "fsname=lower")
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    (row,) = admin.json("mounts")

    assert ("lower", True) == (row["source"], row["covered"])


def test_a_bind_copy_and_a_moved_mount_show_the_same_connection(
    admin: Admin, serve: Serve, home: Path, mountpoint: Path
) -> None:
    """
    Aborting or killing one of them ends all: the connection tells which belong together.
    """
    served = serve(mountpoint)
    copy, target = home / "copy", home / "target"
    copy.mkdir()
    target.mkdir()
    kernel.mount(mountpoint, copy, flags=kernel.MS_BIND)
    kernel.mount(mountpoint, target, flags=kernel.MS_MOVE)

    rows = admin.json("mounts")

    assert {str(copy), str(target)} == {row["mountpoint"] for row in rows}
    assert [(served.connection, "alive")] * 2 == [(row["connection"], row["state"]) for row in rows]


def test_a_server_in_another_mount_namespace_is_found(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    Container engines put servers away; their mounts must not be taken for dead.
    """
    served = serve(mountpoint)
    enter = ["nsenter", "--mount", f"--target={served.peer.pid}", "true"]
    subprocess.run(enter, check=True)

    result = admin.run("mounts", "--json", preexec_fn=lambda: kernel.unshare(kernel.CLONE_NEWNS))

    assert b'"alive"' in result.stdout


def test_another_users_mount_is_unknown_to_an_ordinary_user(
    admin: Admin, serve: Serve, another_user: User, mountpoint: Path
) -> None:
    """
    Who may not look into the server must not be told that there is none.
    """
    serve(mountpoint)

    row = admin.row(mountpoint, user=another_user)

    assert ("unknown", None, []) == (row["state"], row["waiting"], row["servers"])


@pytest.mark.parametrize("killed", [False, True])
def test_ones_own_mount_is_known_to_an_ordinary_user(
    admin: Admin, serve: Serve, caller: User, mountpoint: Path, killed: bool
) -> None:
    """
    The command is for users, too, and root's word is not needed for what is theirs.
    """
    served = serve(mountpoint)
    if killed:
        served.peer.kill()

    assert ("dead" if killed else "alive") == admin.row(mountpoint, user=caller)["state"]


def test_without_fusectl_what_cannot_be_counted_is_unknown_and_the_remedy_is_told(
    admin: Admin, serve: Serve, mountpoint: Path
) -> None:
    """
    Minimal systems never mount fusectl: a zero there would be a lie.
    """
    serve(mountpoint)
    kernel.mount("tmpfs", "/sys/fs/fuse/connections", "tmpfs")
    try:
        row = admin.row(mountpoint)
        result = admin.run("mounts")
    finally:
        kernel.umount("/sys/fs/fuse/connections")

    assert (None, "unknown") == (row["waiting"], row["state"])
    assert b"mount -t fusectl fusectl /sys/fs/fuse/connections" in result.stderr


def test_filters_keep_what_they_say(
    admin: Admin, serve: Serve, caller: User, another_user: User, home: Path
) -> None:
    """
    Scripts unmount what these lists hold.
    """
    serve(home / "living")
    serve(home / "dead").peer.kill()
    serve(home / "hung").peer.stop()

    def names(*words: str) -> list[str]:
        return [Path(row["mountpoint"]).name for row in admin.json("mounts", *words)]

    assert ["dead"] == names("--dead")
    assert ["hung"] == names("--hung")
    assert ["dead", "hung"] == names("--dead", "--hung")
    assert ["living", "dead", "hung"] == names("--user", str(caller.uid))
    assert [] == names("--user", str(another_user.uid))


def test_no_mount_is_ever_touched(admin: Admin, serve: Serve, home: Path) -> None:
    """
    The whole point: findmnt, df and lsof hang where this must not.
    """
    served = serve(home / "living")
    before = _system_calls_on(served.mountpoint, admin)

    assert [] == before


def _system_calls_on(mountpoint: Path, admin: Admin) -> list[bytes]:
    """Every system call of ``mounts`` that names the mountpoint or asks a file system by fd."""
    strace = shutil.which("strace")
    assert strace is not None
    trace = subprocess.run(
        [strace, "-f", "-e", "trace=%file,%desc", "-s", "4096", *admin.command, "mounts"],
        env=admin.environment,
        capture_output=True,
        check=True,
    )
    # /proc/self/mountinfo and the output name it as text, in read and write.
    touching = [line for line in trace.stderr.splitlines() if bytes(mountpoint) in line]
    return [line for line in touching if b"read(" not in line and b"write(" not in line]
