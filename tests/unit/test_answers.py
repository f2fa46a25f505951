"""What is answered without mounting: by the helper, and by the setuid front in its place."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fusermount_py.helper import answers, request
from fusermount_py.helper.errors import UsageError
from support.essential import essential_skip
from support.front import BARE_PROCESSORS, FOLDER, FREESTANDING, words_for_c

Outcome = tuple[int, bytes]
PASSED_ON = (1, b"")  # a helper that is /bin/false
Front = Callable[[bytes, list[bytes]], Outcome]


def compiled(folder: Path, change: tuple[str, str] = ("", "")) -> Front:
    """A front that passes on to /bin/false, in the source of which something is changed."""
    compiler = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=False)
    if not compiler.stdout.startswith(BARE_PROCESSORS):
        essential_skip("needs gcc, for a processor that launcher/bare.h knows")
    (folder / "words.h").write_text(words_for_c(), encoding="ascii")
    source = (FOLDER / "answers.c").read_text(encoding="utf-8")
    assert change[0] in source
    (folder / "answers.c").write_text(source.replace(*change), encoding="utf-8")
    answered = folder / "answers.o"
    here = ["gcc", "-O2", "-fPIE", f"-I{folder}", f"-I{FOLDER}"]
    subprocess.run([*here, *FREESTANDING, "-c", folder / "answers.c", "-o", answered], check=True)
    subprocess.run(
        [
            *here, "-static-pie", '-DPYTHON="/bin/false"', '-DENTRY="/"', FOLDER / "launcher.c",
            answered, "-Wl,--entry=at_once", "-o", folder / "front",
        ],
        check=True,
    )  # fmt: skip

    def run(name: bytes, words: list[bytes]) -> Outcome:
        result = subprocess.run(
            [name, *words], executable=folder / "front", stdout=subprocess.PIPE, check=False
        )
        return result.returncode, result.stdout

    return run


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return compiled(tmp_path_factory.mktemp("front"))


def by_the_helper(name: bytes, words: list[bytes]) -> Outcome:
    """What the helper says to the same, if it is a question."""
    try:
        question = request.parse([word.decode("utf-8", "surrogateescape") for word in words], {})
    except UsageError:
        return PASSED_ON
    if not isinstance(question, request.Help | request.Version | request.Features):
        return PASSED_ON
    status, text = answers.answer(question, name.decode("utf-8", "surrogateescape"))
    return status, text.encode("utf-8", "surrogateescape")


PIECES = (
    *(f"--{name}".encode() for name in request.LONG),
    *b"-h -V -u -z -q -o -- - --- --h --v --f --fe --o --s --a --c --d --q --un =text = =x".split(),
    *b"text /mnt h V u o hV uo \xc3\xa9 \xff".split(),
)
WORD = st.lists(st.sampled_from(PIECES) | st.sampled_from([b"-", b"-u", b"x"]), max_size=2)
COMMAND_LINE = st.lists(WORD.map(b"".join), max_size=4)
NAME = st.sampled_from([b"fusermount3", b"", b"a b", b"\xff{}%s\n", b"n" * 9000])


@settings(max_examples=1500, derandomize=True)
@example(b"f", [b"-o", b"--", b"-h"])
@example(b"f", [b"--", b"-h"])
@example(b"f", [b"--=x", b"-h"])
@example(b"f", [b"--features="])
@example(b"f", [b"--features", b"text"])
@example(b"f", [b"--comm-fd", b"--help", b"--feat=text"])
@example(b"f", [b"-uo", b"-h"])
@example(b"f", [b"-oh", b"-zV"])
@example(b"f", [b"--c"])
@given(NAME, COMMAND_LINE)
def test_front_and_helper_read_and_answer_alike(
    front: Front, name: bytes, words: list[bytes]
) -> None:
    """
    Which of the two answers is nobody's business; and a word that one of them refuses and the other
    passes over would be told to some callers only.
    """
    assert by_the_helper(name, words) == front(name, words)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ([b"-o", b"-h"], ("if (!letter[1] && !*++word)", "if (0)")),
        ([b"--comm-fd", b"-h"], ("&& !value && !*++word", "&& 0")),
        ([b"--help=1"], ("if (option->argument == NO_ARGUMENT && value)", "if (0)")),
        ([b"--o=x", b"-h"], ("word[length] && word[length] != '='", "word[length]")),
        ([b"--features="], ("ASKS_MASK && value)", "ASKS_MASK && value && *value)")),
        ([b"/mnt", b"-h"], ("continue; /* an operand", "return NO_QUESTION; /* an operand")),
    ],
)  # fmt: skip
def test_the_comparison_finds_a_front_that_reads_otherwise(
    tmp_path: Path, words: list[bytes], change: tuple[str, str]
) -> None:
    """
    Shows that the test above tests something.
    """
    careless = compiled(tmp_path, change)

    assert by_the_helper(b"f", words) != careless(b"f", words)


def test_help_advertises_features_as_libraries_look_for_them() -> None:
    """
    Without it a library of 3.19 takes this helper for one of 3.0, and sync-init would be dead code.
    """
    lines = answers.USAGE.splitlines()

    assert 1 == len([line for line in lines if re.match(r" --features\s", line)])
    assert 1 == len([line for line in lines if re.match(r" --features=text\s", line)])
    assert " --features " in answers.USAGE
    assert all(f"--{name}" in answers.USAGE for name in request.LONG if name != "dead-mount")


def test_a_mask_is_sixteen_digits_and_bit_0_is_the_mount_interface() -> None:
    """
    Libraries take nothing else, and the two bits are what libfuse has them mean.
    """
    assert "0000000000000003\n" == answers.mask(answers.FEATURES)
    assert "0000000000000001\n" == answers.mask(("FUSERMOUNT_FEATURE_NEW_MOUNT_API",))
    assert "0000000000000000\n" == answers.mask(())
    assert answers.names(answers.FEATURES) == (
        "FUSERMOUNT_FEATURE_NEW_MOUNT_API FUSERMOUNT_FEATURE_SYNC_INIT\n"
    )
