"""--features, as libfuse 3.19 asks it before each of its mounts (contract, section 1.1)."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from support import machine
from support.injected import Injected
from support.program import Program, Result
from support.users import ROOT, User

MASK = b"0000000000000003\n"
NAMES = b"FUSERMOUNT_FEATURE_NEW_MOUNT_API FUSERMOUNT_FEATURE_SYNC_INIT\n"
WITHOUT_FRONT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from fusermount_py.helper.main import main; "
    "main(sys.argv[1:], fuse_conf='/etc/fuse.conf', helper='/nowhere', guard='/nowhere')"
)


@pytest.fixture(params=["front", "no front"])
def ask(request: pytest.FixtureRequest, ours: Program) -> Iterator[Callable[..., Result]]:
    """Asks the installed program, or its helper where there is no front."""
    if request.param == "front":
        yield lambda *words, **how: ours.run(*words, comm=None, **how)
        return
    python = Program("/usr/bin/python3")
    start = ("-I", "-S", "-B", "-c", WITHOUT_FRONT, str(machine.PREFIX / "lib/fusermount-py"))
    yield lambda *words, **how: python.run(
        *start, how.pop("argv0", "fusermount3"), *words, comm=None, argv0="python3", **how
    )
    python.clean_up()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("--features", MASK),
        ("--feat", MASK),
        ("-u --features /mnt -x", MASK),
        ("--features text", MASK),
        ("--features=text", NAMES),
        ("--f=text", NAMES),
    ],
)
def test_what_this_helper_can_is_told_to_everybody(
    ask: Callable[..., Result], caller: User, words: str, answer: bytes
) -> None:
    """
    Any other answer, and a library passes none of the options that 3.0 did not have.
    """
    for user in (caller, ROOT):
        assert Result(0, answer, b"") == ask(*words.split(), user=user)


@pytest.mark.parametrize("value", ["", "TEXT", "text ", "textual", "hex"])
def test_another_way_of_telling_is_usage(
    ask: Callable[..., Result], caller: User, value: str
) -> None:
    """
    A later libfuse may know others, and finds out so.
    """
    usage = ask("--help", user=caller, argv0="any name")

    assert (1, b"") == usage[::2]
    assert usage.stdout.startswith(b"any name: [options] mountpoint\nOptions:\n -h")
    assert usage == ask(f"--features={value}", user=caller, argv0="any name")


@pytest.mark.parametrize(
    ("word", "answer"), [("--features", b"0" * 16 + b"\n"), ("--features=text", b"\n")]
)
@pytest.mark.parametrize("error", ["ENOSYS", "EINVAL"])
def test_where_the_kernel_has_no_fsopen_nothing_is_promised(
    ours: Program, caller: User, word: str, answer: bytes, error: str
) -> None:
    """
    Only ENOSYS says that: an ordinary user gets EPERM where it is, root another error.
    """
    injected = Injected(ours, (f"fsopen:error={error}",))

    result = injected.run(word, user=caller, comm=None)
    injected.clean_up()

    assert (0, b"") == result[::2]
    assert (answer == result.stdout) == (error == "ENOSYS")


@pytest.mark.parametrize("word", ["--help", "--version", "--features", "--wrong"])
def test_no_interpreter_is_started_for_a_question(ours: Program, caller: User, word: str) -> None:
    """
    A library asks two of them for each mount.
    """
    trace = ["strace", "-u", f"test{caller.uid}", "-e", "trace=execve"]
    result = subprocess.run([*trace, ours.path, word], capture_output=True, text=True, check=False)

    assert (2 if word == "--wrong" else 1) == result.stderr.count("execve(")
