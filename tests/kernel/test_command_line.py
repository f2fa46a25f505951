"""What the installed program says to its caller's words; the grammar is tested in tests/unit."""

import os
import stat
from pathlib import Path

import pytest

from support.flows import refused, said
from support.mount_table import mount_at, mounts_at
from support.program import Program, Result
from support.users import ROOT, User


@pytest.mark.parametrize("words", ["-V", "--version", "-V /mnt", "--vers", "-Vh"])
def test_the_version_is_the_interfaces(ours: Program, caller: User, words: str) -> None:
    """
    Libraries compare it with what they need.
    """
    result = ours.run(*words.split(), user=caller, comm=None)

    assert Result(0, b"fusermount3 version: 3.19.0\n", b"") == result


def test_the_version_succeeds_though_nobody_can_read_it(ours: Program, caller: User) -> None:
    """
    The AppImage runtime closes stdin, stdout and stderr, and asks whether this is a fusermount.
    """
    result = ours.run("--version", user=caller, comm=None, preexec_fn=lambda: os.closerange(0, 3))

    assert 0 == result.exit_status


@pytest.mark.parametrize("words", ["-h", "--help", "/mnt -h"])
def test_help_is_on_stdout_and_is_exit_status_1(ours: Program, caller: User, words: str) -> None:
    """
    Fuser probes with it and expects exactly this.
    """
    result = ours.run(*words.split(), user=caller, comm=None)

    assert (1, b"") == (result.exit_status, result.stderr)
    assert result.stdout.startswith(b"fusermount3: [options] mountpoint\n")
    for option in (b"-o", b"-u", b"-q", b"-z", b"-h", b"-V", b"--sync-init", b"--auto-unmount"):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "missing mountpoint argument"),
        ("-u", "missing mountpoint argument"),
        ("/a /b", "extra arguments after the mountpoint"),
        ("-z /a", "-z can only be used with -u"),
        ("-x /a", "invalid option -- 'x'"),
        ("--sync /a --wrong", "unrecognized option '--wrong'"),
    ],
)
def test_words_that_mean_nothing_are_one_sentence(
    ours: Program, caller: User, words: str, sentence: str
) -> None:
    """
    And nothing is mounted, sent or printed elsewhere.
    """
    assert refused(sentence) == ours.run(*words.split(), user=caller)


@pytest.mark.parametrize(
    "argv0", ["fusermount3", "fusermount", "/bin/fusermount", "/usr/local/bin/fusermount3", "x y"]
)
def test_messages_begin_with_the_name_we_were_called_by(
    ours: Program, caller: User, mountpoint: Path, argv0: str
) -> None:
    """
    Libfuse 2 programs call /bin/fusermount, and their logs must say what was called.
    """
    result = ours.run("-o", "wrong", "--", mountpoint, user=caller, argv0=argv0)

    assert refused("unknown option 'wrong'", argv0=argv0) == result


def test_unknown_variables_change_nothing(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    Libfuse sets _FUSE_COMMFD2 for its own server; other versions will set others.
    """
    result = ours.mount(
        mountpoint, user=caller, environment={"_FUSE_COMMFD2": "0", "_FUSE_X": "1", "LANG": "de"}
    )

    assert (0, b"") == (result.exit_status, result.stderr)


@pytest.fixture
def another_device(bare_dev: Path) -> Path:
    """A FUSE device in a /dev of the test's own, which has no /dev/fuse."""
    path = bare_dev / "another"
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    path.chmod(0o666)
    return path


def test_root_may_name_another_device(
    ours: Program, mountpoint: Path, another_device: Path
) -> None:
    """
    For containers that bring their own node.
    """
    result = ours.mount(
        mountpoint, user=ROOT, environment={"FUSE_KERN_DEVICE": str(another_device)}
    )

    assert (0, b"") == (result.exit_status, result.stderr)
    assert os.fsencode(another_device) == mount_at(mountpoint).source


@pytest.mark.parametrize(
    "path", ["/dev/null", "/etc/passwd", "/nowhere", "SCRATCH", "/dev/../etc/passwd"]
)
def test_what_is_no_fuse_device_is_refused_even_for_root(
    ours: Program, mountpoint: Path, path: str
) -> None:
    """
    An environment that root did not look at must not make root's helper open things.
    """
    node = mountpoint.parent / "node"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    result = ours.run(
        "--", mountpoint, user=ROOT,
        environment={"FUSE_KERN_DEVICE": path.replace("SCRATCH", str(node))},
    )  # fmt: skip

    assert 1 == result.exit_status
    assert 1 == result.stderr.count(b"\n")
    assert [] == mounts_at(mountpoint)


def test_an_ordinary_user_may_not_name_a_device(
    ours: Program, caller: User, mountpoint: Path, another_device: Path
) -> None:
    """
    It would be opened by a program that is about to mount.
    """
    result = ours.run(
        "--", mountpoint, user=caller, environment={"FUSE_KERN_DEVICE": str(another_device)}
    )

    sentence = "fuse device /dev/fuse not found. Kernel module not loaded?"
    assert said(sentence) == result.stderr
