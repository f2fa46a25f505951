"""`fusermount-py trace`, with real FUSE programs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.admin import Admin
from support.essential import essential_skip
from support.users import CALLER, ROOT, User

HELLO = ("/usr/bin/python3", "-m", "fusermount_py.hello")


def said(result: Any) -> list[str]:
    """The story, without moments and process numbers."""
    lines = result.stderr.decode().splitlines()
    return [line.partition("]")[2].strip() for line in lines]


def test_a_handshake_is_told_from_the_call_to_the_status(
    admin: Admin, caller: User, mountpoint: Path
) -> None:
    """
    Who writes a FUSE library sees what it sends, and what the helper and the kernel make of it.
    """
    result = admin.run("trace", "--", *HELLO, mountpoint, "-o", "fsname=traced", user=caller)

    assert 0 == result.exit_status, result
    story = said(result)
    assert story[0].startswith("program calls: fusermount3 --sync-init -o")
    assert [line for line in story if line.startswith("helper sends 1 byte and the device")]
    assert story.index("program sends proceed") < story.index("helper sends status 0: mounted")
    assert "helper ends with status 0" in story
    assert [line for line in story if line.startswith(f"the kernel shows: {mountpoint} fuse")]
    assert "alive" == admin.row(mountpoint)["state"]


def test_a_refusal_is_told_with_the_helpers_words(
    admin: Admin, caller: User, mountpoint: Path
) -> None:
    """
    Libraries tend to swallow them.
    """
    result = admin.run("trace", "--", *HELLO, mountpoint, "-o", "bogus", user=caller)

    assert 1 == result.exit_status
    assert "helper says: fusermount3: unknown option 'bogus'" in said(result)


def test_the_questions_of_libfuse_are_told_and_answered(admin: Admin, caller: User) -> None:
    """
    It looks for a word of the one, and then at the digits of the other; 1 is no failure.
    """
    ask = "fusermount3 --help | grep -c ' --features ' && fusermount3 --features"

    result = admin.run("trace", "--", "sh", "-c", ask, user=caller)

    assert (0, b"1\n0000000000000003\n") == (result.exit_status, result.stdout)
    told = [line for line in said(result) if "socket" not in line]
    assert [
        "program calls: fusermount3 --help",
        "helper ends with status 1 (as it does for --help)",
        "program calls: fusermount3 --features",
        "helper ends with status 0",
    ] == told


def test_a_stranger_is_not_heard(admin: Admin, another_user: User) -> None:
    """
    What relays tell goes through a socket that every user of the machine can reach.
    """
    say = "import os, socket; path = os.environ['PATH'].partition(':')[0] + '/log'; "
    say += "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'nonsense', path)"
    stranger = ["setpriv", f"--reuid={another_user.uid}", "--clear-groups", "--"]

    result = admin.run("trace", "--json", "--", *stranger, "/usr/bin/python3", "-c", say)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert [] == json.loads(result.stdout)["events"]


def test_json_is_one_object_and_stdout_else_belongs_to_the_program(
    admin: Admin, caller: User, mountpoint: Path
) -> None:
    """
    A test of a FUSE library can assert on it.
    """
    result = admin.run("trace", "--json", "--", *HELLO, mountpoint, user=caller)

    told = json.loads(result.stdout)
    assert 0 == told["status"]
    assert ["call", "message"] == [event["event"] for event in told["events"][:2]]


def test_a_program_that_goes_by_the_full_path_is_told_about(admin: Admin, caller: User) -> None:
    """
    Silence would look like a program that never mounted.
    """
    result = admin.run("trace", "--", "true", user=caller)

    assert 0 == result.exit_status
    assert b"is caught by root with --private" in result.stderr


def test_root_catches_libfuse_in_a_namespace_that_nobody_else_sees(
    admin: Admin, home: Path, mountpoint: Path
) -> None:
    """
    It starts its helper by the full path, and nothing of the machine may change for us.
    """
    bindfs = shutil.which("bindfs")
    if bindfs is None:
        essential_skip("needs bindfs")
    os.chown(home, CALLER.uid, CALLER.gid)
    os.chown(mountpoint, CALLER.uid, CALLER.gid)
    admin.environment["PATH"] = "/usr/bin:/bin"
    private = ("trace", "--private", "--user", str(CALLER.uid))
    bind = f"{bindfs} --no-allow-other {home} {mountpoint}"
    script = f"{bind} && ls {mountpoint} && fusermount3 -u {mountpoint}"

    result = admin.run(*private, "--", "sh", "-c", script, user=ROOT)

    assert (0, b"mountpoint\n") == (result.exit_status, result.stdout), result
    story = said(result)
    assert [line for line in story if line.startswith("helper sends 1 byte and the device")]
    assert [line for line in story if line == f"program calls: fusermount3 -u {mountpoint}"]


@pytest.mark.parametrize("words", [["--private"], ["--user", "0"]])
def test_what_is_for_root_is_refused_to_others(
    admin: Admin, caller: User, words: list[str]
) -> None:
    """
    A sentence, before anything was started.
    """
    assert 2 == admin.run("trace", *words, "--", "true", user=caller).exit_status
