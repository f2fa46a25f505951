"""The command line: contract, section 1."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from compliance.likeness import mount_outcome

from support.mount_table import mount_at
from support.program import Program
from support.users import User

MOUNTPOINT = "{mountpoint}"


def at(mountpoint: Path, words: list[str]) -> list[str]:
    return [str(mountpoint) if word == MOUNTPOINT else word for word in words]


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "ro", "--", MOUNTPOINT],
        ["-o", "ro", MOUNTPOINT],
        [MOUNTPOINT, "-o", "ro"],
        ["-oro", MOUNTPOINT],
        ["-qoro", MOUNTPOINT],
        ["-o", "rw,noexec", "-o", "ro", MOUNTPOINT],
        ["-o", "bogus", MOUNTPOINT, "-o", "ro"],
    ],
    ids=" ".join,
)
def test_options_and_operands_come_in_any_order_and_the_last_o_counts(
    helper: Program, user: User, mountpoint: Path, words: list[str]
) -> None:
    """
    Callers differ: libfuse has options first and a `--`, go-fuse the mountpoint, fuse3-rs no `--`.
    """
    outcome = mount_outcome(helper, *at(mountpoint, words), user=user)

    assert (0, b"", b"", ((b"\0", 1),)) == outcome[:4]
    assert ["ro"] == sorted(outcome.mounted[0].attributes & {"ro", "noexec"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing mountpoint argument"),
        (["-u"], "missing mountpoint argument"),
        (["-o", MOUNTPOINT], "missing mountpoint argument"),
        ([MOUNTPOINT, "-o"], "option requires an argument -- 'o'"),
        ([MOUNTPOINT, MOUNTPOINT], "extra arguments after the mountpoint"),
        (["-u", MOUNTPOINT, "--", "-z"], "extra arguments after the mountpoint"),
        (["-z", MOUNTPOINT], "-z can only be used with -u"),
        (["-x", MOUNTPOINT], "invalid option -- 'x'"),
        (["-ux", MOUNTPOINT], "invalid option -- 'x'"),
        (["--bogus", MOUNTPOINT], "unrecognized option '--bogus'"),
        (["--unmount=1", MOUNTPOINT], "option '--unmount' doesn't allow an argument"),
        ([""], "invalid mountpoint ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_line_that_makes_no_sense_is_one_line_on_stderr(
    helper: Program, user: User, mountpoint: Path, words: list[str], message: str
) -> None:
    """
    Scripts show this line to their user; the exit status is all that programs look at.
    """
    outcome = mount_outcome(helper, *at(mountpoint, words), user=user, argv0="/any/name of mine")

    assert (1, b"", f"/any/name of mine: {message}\n".encode()) == outcome[:3]
    assert ((), (), (), ()) == outcome[3:]


@pytest.mark.parametrize("word", ["-h", "--help", "-uh", "--he"])
def test_help_goes_to_stdout_and_fails(helper: Program, user: User, word: str) -> None:
    """
    Libraries (fuser) find out with it whether there is a fusermount3, and which options it has.
    """
    status, stdout, stderr, *_ = helper.run(word, "--bogus", user=user, argv0="fusermount")

    assert (1, b"") == (status, stderr)
    assert stdout.startswith(b"fusermount: [options] mountpoint\nOptions:\n -h")


@pytest.mark.parametrize("words", [["-V"], ["--version"], ["--version", "ignored"], ["-Vx"]])
def test_the_version_is_told_without_anything_else(
    helper: Program, user: User, words: list[str]
) -> None:
    """
    Programs compare it. Its name is fusermount3, whatever it was called by.
    """
    status, stdout, stderr, *_ = helper.run(*words, user=user, argv0="fusermount")

    assert (0, b"") == (status, stderr)
    assert stdout in (b"fusermount3 version: 3.14.0\n", b"fusermount3 version: 3.19.0\n")


def close_standard_descriptors() -> None:
    os.closerange(0, 3)


def test_the_version_exits_0_without_standard_descriptors(
    helper: Program, caller: User, tmp_path: Path
) -> None:
    """
    The AppImage runtime asks each fusermount it finds in PATH like this.
    """
    result = helper.run("--version", user=caller, comm=None, preexec_fn=close_standard_descriptors)

    assert (0, b"", b"") == result[:3]


@pytest.mark.parametrize("letters", ["-u", "--unmount", "--unm", "-uz", "-zqu", "--la --unmount"])
def test_unmounting_takes_bundles_and_abbreviations(
    helper: Program, caller: User, mountpoint: Path, letters: str
) -> None:
    """
    `fusermount -uz` is what people type.
    """
    helper.mount(mountpoint, user=caller)

    outcome = mount_outcome(helper, *letters.split(), mountpoint, user=caller, comm=None)

    assert (0, b"", b"") == outcome[:3]
    assert [os.fsencode(mountpoint)] == [mount.mountpoint for mount in outcome.gone]


@pytest.mark.parametrize(
    "words", [["--options=ro"], ["--options", "ro"], ["--opt=ro"]], ids=" ".join
)
def test_the_long_form_of_o_came_after_3_14(
    theirs: Program, ours: Program, caller: User, mountpoint: Path, words: list[str]
) -> None:
    """
    Callers of today's libfuse may use it; 3.14.0 refuses it.
    """
    refused = mount_outcome(theirs, *words, mountpoint, user=caller)
    result = ours.run(*words, mountpoint, user=caller)

    assert f"fusermount3: unrecognized option '{words[0]}'\n".encode() == refused.stderr
    assert (0, b"", b"") == result[:3]
    assert "ro" in mount_at(mountpoint).attributes


def test_the_comm_fd_option_came_after_3_14_and_wins_over_the_environment(
    theirs: Program, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A caller that says it twice means the one it says to this very call.
    """
    how: dict[str, Any] = {"user": caller, "comm_fd": 17, "environment": {"_FUSE_COMMFD": "99"}}

    refused = theirs.run("--comm-fd=17", mountpoint, **how)
    running = ours.start("--comm-fd=17", mountpoint, **how)

    assert b"fusermount3: unrecognized option '--comm-fd=17'\n" == refused.stderr
    assert running.receive_device()
    assert (0, b"", b"") == running.wait()[:3]


def test_a_name_of_control_characters_stays_on_its_own_line_of_ours(
    theirs: Program, ours: Program, caller: User, home: Path
) -> None:
    """
    A line in a log must not be made to look like two. Theirs shows the newline.
    """
    path = home / "no\nsuch"

    seen = [program.run("--", path, user=caller).stderr for program in (theirs, ours)]

    words = f"fusermount3: failed to access mountpoint {home}/no%ssuch: No such file or directory\n"
    assert [words % "\n", words % "\\012"] == [line.decode() for line in seen]


def test_quiet_means_quiet(theirs: Program, ours: Program, caller: User, home: Path) -> None:
    """
    Theirs is quiet about a mount that is not there, and not about a path that is not.
    """
    words = ("-u", "-q", "--", home / "no" / "such")

    seen = [program.run(*words, user=caller, comm=None)[:3] for program in (theirs, ours)]

    message = f"fusermount3: bad mount point {home}/no/such: No such file or directory\n".encode()
    assert [(1, b"", message), (1, b"", b"")] == seen


def test_the_test_machine_has_the_version_these_tests_speak_of() -> None:
    """
    Another one would differ in other places.
    """
    version = subprocess.run(["/usr/bin/fusermount3", "-V"], capture_output=True, check=True)

    assert b"fusermount3 version: 3.14.0\n" == version.stdout
