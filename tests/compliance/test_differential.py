"""
Both programs on the same input: what differs must be on the list (differences.py).

The normal run is the same each time. `FUZZ_CASES=100000` runs other cases, that many for each test;
a failing case is kept in `.hypothesis` and tried first from then on, and belongs below as an
`example` once it is understood.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from compliance.conftest import AWKWARD
from compliance.differences import accounted_for
from compliance.likeness import Outcome, mount_outcome, mounted_by_hand
from hypothesis import HealthCheck, assume, example, given, note, settings
from hypothesis import strategies as st

from support.program import Program
from support.users import ROOT, User

CASES = int(os.environ.get("FUZZ_CASES", "0"))
settings.register_profile(
    "differential",
    deadline=None,
    derandomize=not CASES,
    max_examples=CASES or 600,
    print_blob=True,
    suppress_health_check=list(HealthCheck),  # the fixtures hold for all cases of a test
)
differential = settings.get_profile("differential")
pytestmark = pytest.mark.timeout(0 if CASES else 300)

Run = Callable[[Program], Outcome]

ODD = [b"\\", b"\\\\", b",", b"\\,", b"=", b'"', b" ", b"\n", b"\t", b"#", b"'", b"%s", b"\xff"]
TEXT = st.lists(st.sampled_from([*ODD, b"a", b"demo", "\N{SNOWMAN}".encode(), b"-"])).map(b"".join)
LONG = st.integers(200, 1500).map(lambda length: b"n" * length)
WORDS = st.sampled_from(
    b"ro rw suid nosuid dev nodev exec noexec async sync dirsync atime noatime allow_other blkdev "
    b"default_permissions nonempty large_read fsname subtype max_read fd rootmode user_id group_id "
    b"auto_unmount relatime x-gvfs-hide user remount bind context".split(b" ")
)
NAMES = st.sampled_from([b"fsname", b"subtype"])
NUMBERS = st.sampled_from(
    b"max_read blksize fd rootmode user_id group_id allow_other ro x-a".split(b" ")
)
NUMBER = st.sampled_from(
    [b"", b"0", b"12", b"-1", b"0x10", b"010", b"9" * 12, b"abc", b"1 ", b"+5"]
)
OPTION = st.one_of(
    WORDS,
    st.builds(b"%b=%b".__mod__, st.tuples(NAMES, TEXT | LONG)),
    st.builds(b"%b=%b".__mod__, st.tuples(NUMBERS, NUMBER)),
    TEXT,
)
OPTIONS = st.lists(OPTION, max_size=6).map(b",".join)


def compare(
    theirs: Program, ours: Program, run: Run, *, quiet: bool = False, guarded: bool = False
) -> None:
    expected, found = run(theirs), run(ours)
    note(f"theirs: {expected}")
    note(f"ours:   {found}")
    assert accounted_for(expected, found, quiet=quiet, guarded=guarded)


@differential
@example(options=b",ro", as_root=False, permissive=False)
@example(options=b"max_read=,max_read=0", as_root=False, permissive=False)
@example(options=b"suid,max_read=", as_root=False, permissive=False)
@example(options=b"subtype=", as_root=False, permissive=False)
@given(options=OPTIONS, as_root=st.booleans(), permissive=st.booleans())
def test_option_texts(
    theirs: Program,
    ours: Program,
    caller: User,
    mountpoint: Path,
    fuse_conf: Callable[..., None],
    options: bytes,
    as_root: bool,
    permissive: bool,
) -> None:
    """
    An option that one reads and the other does not is a file system that starts here only.
    """
    fuse_conf("user_allow_other\n" if permissive else "")
    user = ROOT if as_root else caller

    def run(program: Program) -> Outcome:
        return mount_outcome(program, "-o", options, "--", mountpoint, user=user)

    compare(theirs, ours, run, guarded=b"auto_unmount" in options)


FLAGS = st.sampled_from(
    b"-h -V -u -z -q -o --help --version --unmount --lazy --quiet --auto-unmount -uz -uqz -zu "
    b"-oro -ofsname=a -qo --unm --la --q --v --he --auto --bogus --un=1 --lazy=1 -x -uX -- - --= "
    b"--features --features=text --fea=x "
    b"-o=ro --h --u -V1 -".split(b" ")
)
OPERAND = st.sampled_from([b"{mountpoint}", b"{mountpoint}/", b"ro", b"", b"/nowhere", b"extra"])
ARGUMENTS = st.lists(st.one_of(FLAGS, OPERAND, TEXT), max_size=6)


@differential
@example(words=[b"-uqz", b""], argv0=b"f", with_comm=False)
@example(words=[b""], argv0=b"fusermount3", with_comm=True)
@example(words=["-\N{SNOWMAN}".encode()], argv0=b"f", with_comm=True)
@example(words=[b"{mountpoint}"], argv0=b"", with_comm=True)
@given(words=ARGUMENTS, argv0=TEXT, with_comm=st.booleans())
def test_command_lines(
    theirs: Program,
    ours: Program,
    caller: User,
    mountpoint: Path,
    words: list[bytes],
    argv0: bytes,
    with_comm: bool,
) -> None:
    """
    getopt_long's rules have corners that callers stand in, as go-fuse does with its options last.
    """
    place = os.fsencode(mountpoint)
    arguments = [word.replace(b"{mountpoint}", place) for word in words]
    how: dict[str, None] = {} if with_comm else {"comm": None}

    def run(program: Program) -> Outcome:
        return mount_outcome(program, *arguments, user=caller, argv0=argv0, **how)

    quiet = any(word.startswith(b"-") and b"q" in word for word in words)
    compare(theirs, ours, run, quiet=quiet)


NAMES_IN_HOME = (
    *AWKWARD,
    *(b".", b"..", b"", b"missing", b"file", b"fifo", b"link", b"loop", b"dangling", b"forbidden"),
    *(b"readonly", b"sticky", b"n" * 300),
)
PATH = st.builds(
    lambda start, names, end: start + b"/".join(names) + end,
    st.sampled_from([b"{home}/", b"{home}//", b"", b"./", b"../", b"/proc/", b"/"]),
    st.lists(st.sampled_from(NAMES_IN_HOME), min_size=1, max_size=3),
    st.sampled_from([b"", b"", b"/", b"//", b"/."]),
)


@differential
@example(path=b"forbidden/../plain")
@given(path=PATH)
def test_mounting_on_any_path(
    theirs: Program, ours: Program, caller: User, furnished: Path, path: bytes
) -> None:
    """
    A path is refused in the same words, and a mount lands under the same name.
    """
    place = path.replace(b"{home}", os.fsencode(furnished))

    def run(program: Program) -> Outcome:
        return mount_outcome(program, "--", place, user=caller, cwd=furnished)

    compare(theirs, ours, run)


@differential
@given(
    path=PATH,
    name=st.sampled_from(AWKWARD),
    spelled=st.sampled_from(
        [b"{home}/{name}", b"{name}", b"./{name}", b"{home}/readonly/../{name}"]
    ),
    exactly=st.booleans(),
    owner=st.sampled_from(["caller", "another", "root"]),
    flags=st.sampled_from(["-u", "-uz", "-uq", "-uqz"]),
)
def test_unmounting_any_path(
    theirs: Program,
    ours: Program,
    caller: User,
    another_user: User,
    furnished: Path,
    path: bytes,
    name: bytes,
    spelled: bytes,
    exactly: bool,
    owner: str,
    flags: str,
) -> None:
    """
    What a caller's own mount is, and under which names, both know alike.
    """
    home = os.fsencode(furnished)
    words = (spelled if exactly else path).replace(b"{home}", home).replace(b"{name}", name)
    # Through the mount itself: test_unmount.py.
    assume(name + b"/" not in words and not (name == b"plain" and b"link/" in words))
    user = {"caller": caller, "another": another_user, "root": ROOT}[owner]

    def run(program: Program) -> Outcome:
        with mounted_by_hand(os.path.join(home, name), user=user):
            return mount_outcome(program, flags, "--", words, user=caller, comm=None, cwd=furnished)

    compare(theirs, ours, run, quiet="q" in flags)


LINE = st.one_of(
    st.sampled_from(
        [
            b"user_allow_other",
            b" user_allow_other ",
            b"user_allow_other # yes",
            b"#user_allow_other",
            b"\t user_allow_other\v\f",
            b" \t# user_allow_other",
            b"service_open_path = ext4 /dev/sd*",
            b"\tservice_open_path\t=#",
            b"service_open_path",
        ]
    ),
    st.sampled_from([b"user_allow_other=1", b"", b"# comment", b"mount_max", b"bogus", b"a=b"]),
    st.builds(
        lambda before, number, after: b"mount_max" + before + b"=" + number + after,
        st.sampled_from([b"", b" ", b"\t"]),
        st.sampled_from(
            [
                *b"0 1 2 3 -1 0x2 02 1000 +3 1e3 abc 2147483647 0x 0xg 08 +-3 -0x1 --1 -0".split(
                    b" "
                ),
                b"",
            ]
        ),
        st.sampled_from([b"", b" ", b"\r", b" x", b"#", b"x"]),
    ),
    st.sampled_from([b"#" * 254, b"#" * 255, b"#" * 256, b"x" * 600]),
    TEXT,
)
CONFIGURATION = st.builds(
    lambda lines, end: b"\n".join(lines) + end,
    st.lists(LINE, max_size=4),
    st.sampled_from([b"\n", b"\n", b"", b"\r\n"]),
)


@differential
@example(text=b"mount_max =0x\n", mounts=0, option="ro")
@example(text=b"#" * 600, mounts=0, option="ro")
@given(text=CONFIGURATION, mounts=st.integers(0, 2), option=st.sampled_from(["allow_other", "ro"]))
def test_configurations(
    theirs: Program,
    ours: Program,
    caller: User,
    furnished: Path,
    fuse_conf: Callable[..., None],
    text: bytes,
    mounts: int,
    option: str,
) -> None:
    """
    An administrator who replaces one by the other must not have to look at the file again.
    """
    fuse_conf(text)
    others = [os.path.join(os.fsencode(furnished), name) for name in AWKWARD[1 : mounts + 1]]

    def run(program: Program) -> Outcome:
        with mounted_by_hand(*others, user=caller):
            return mount_outcome(program, "-o", option, "--", furnished / "plain", user=caller)

    compare(theirs, ours, run)
