"""The command line by getopt_long's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusermount_py.helper import protocol, request
from fusermount_py.helper.errors import UsageError

PIECES = (
    *(f"--{name}" for name in ("options", "unmount", "lazy", "quiet", "sync-init", "comm-fd")),
    "--auto-unmount", "--", "-", "-u", "-z", "-q", "-o", "-h", "-V", "=", "3", "--o", "--un",
    "/mnt",
)  # fmt: skip
WORDS = st.lists(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=2).map("".join), max_size=5
)
VARIABLES = st.dictionaries(
    st.sampled_from([protocol.COMM_FD, protocol.PROCEED_TIMEOUT, protocol.INIT_TIMEOUT]),
    st.text(max_size=4) | st.sampled_from(["3", "0.5", "1e9", "inf", "nan", "-1", " 3", "0x3"]),
)


def parse_mount(*words: str, **variables: str) -> request.MountRequest:
    parsed = request.parse(list(words), variables)
    assert isinstance(parsed, request.MountRequest)
    return parsed


@given(WORDS, VARIABLES)
def test_any_command_line_is_a_request_or_a_usage_error(
    words: list[str], variables: dict[str, str]
) -> None:
    """
    An exception of another kind would be a bug that a caller can reach.
    """
    try:
        parsed = request.parse(words, variables)
    except UsageError:
        return
    if isinstance(parsed, request.MountRequest):
        assert 0 <= parsed.proceed_seconds <= protocol.WAIT_SECONDS
        assert 0 <= parsed.init_seconds <= protocol.WAIT_SECONDS
        assert parsed.comm_fd is None or 0 <= parsed.comm_fd < 1 << 31


@pytest.mark.parametrize(
    "words",
    [
        "-o ro -- /mnt", "-oro /mnt", "/mnt -o ro", "--options=ro /mnt", "--options ro /mnt",
        "/mnt --opt ro", "--o=ro -- /mnt", "-o rw -o ro /mnt", "-o rw /mnt --options=ro",
    ],
)  # fmt: skip
def test_options_are_found_wherever_getopt_long_finds_them(words: str) -> None:
    """
    Each library writes them in another place; go-fuse puts them behind the mountpoint.
    """
    parsed = parse_mount(*words.split())

    assert ("/mnt", "ro", False) == (parsed.mountpoint, parsed.options, parsed.sync_init)


@pytest.mark.parametrize(
    "words",
    [
        "-u -z -q /mnt",
        "-uzq /mnt",
        "/mnt -quz",
        "--unmount --lazy --quiet -- /mnt",
        "--unm --l --q /mnt",
    ],
)
def test_flags_may_be_bundled_and_abbreviated(words: str) -> None:
    """
    `-uz` is what people type, the long words are what libfuse 3.19 says.
    """
    parsed = request.parse(words.split(), {})

    assert isinstance(parsed, request.UnmountRequest)
    assert ("/mnt", True, True) == (parsed.mountpoint, parsed.lazy, parsed.quiet)
    assert parsed.dead_mount is None


def test_behind_two_dashes_everything_is_an_operand() -> None:
    """
    A directory may be called `-u`.
    """
    assert "-u" == parse_mount("--", "-u").mountpoint


def test_a_dash_alone_is_an_operand() -> None:
    """
    Getopt says so.
    """
    assert "-" == parse_mount("-").mountpoint


@pytest.mark.parametrize(("words", "kind"), [("-h", request.Help), ("-V", request.Version)])
@pytest.mark.parametrize("behind", ["", "/mnt", "-z", "--unknown", "a b"])
def test_help_and_version_are_answered_at_once(words: str, kind: type, behind: str) -> None:
    """
    Callers probe with them, whatever else they have on the line.
    """
    assert isinstance(request.parse([words, *behind.split()], {}), kind)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "missing mountpoint argument"),
        ("-u", "missing mountpoint argument"),
        ("/a /b", "extra arguments after the mountpoint"),
        ("-z /mnt", "-z can only be used with -u"),
        ("-x /mnt", "invalid option -- 'x'"),
        ("/mnt -o", "option requires an argument -- 'o'"),
        ("--wrong /mnt", "unrecognized option '--wrong'"),
        ("--unmount=x /mnt", "option '--unmount' doesn't allow an argument"),
        ("/mnt --options", "option '--options' requires an argument"),
        ("--comm-fd=x /mnt", "--comm-fd is not a number: 'x'"),
        ("--comm-fd=2147483648 /mnt", "--comm-fd is not a file descriptor: '2147483648'"),
    ],
)
def test_a_word_that_means_nothing_is_named(words: str, sentence: str) -> None:
    """
    One sentence, the one of getopt_long where it has one.
    """
    with pytest.raises(UsageError) as error:
        request.parse(words.split(), {})

    assert sentence == error.value.message


@pytest.mark.parametrize("number", ["-1", "", " 3", "3 ", "0x3", "+3", "3.0", "1_0", "٣", "9" * 30])
@pytest.mark.parametrize("place", ["option", "environment"])
def test_a_descriptor_is_digits_and_nothing_else(number: str, place: str) -> None:
    """
    The launcher keeps the descriptor that the helper will use: both must read the same number.
    """
    words = ["--comm-fd", number] if place == "option" else []
    variables = {protocol.COMM_FD: number} if place == "environment" else {}

    with pytest.raises(UsageError):
        request.parse([*words, "/mnt"], variables)


def test_the_comm_fd_option_wins_over_the_environment() -> None:
    """
    Who writes it on the command line means this call; the environment may be inherited.
    """
    assert 5 == parse_mount("--comm-fd=5", "/mnt", **{protocol.COMM_FD: "7"}).comm_fd
    assert 7 == parse_mount("/mnt", **{protocol.COMM_FD: "7"}).comm_fd
    assert parse_mount("/mnt").comm_fd is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1", 1.0), ("0.25", 0.25), ("0", 0.0), ("300", 300.0), ("301", 300.0), ("9" * 19, 300.0)],
)
def test_a_caller_may_only_shorten_our_patience(text: str, seconds: float) -> None:
    """
    A helper that waits for ever is a process that its user cannot explain.
    """
    variables = {protocol.PROCEED_TIMEOUT: text, protocol.INIT_TIMEOUT: text}
    parsed = parse_mount("/mnt", **variables)

    assert (seconds, seconds) == (parsed.proceed_seconds, parsed.init_seconds)
    assert 300.0 == parse_mount("/mnt").proceed_seconds == parse_mount("/mnt").init_seconds


@pytest.mark.parametrize("text", ["", "-1", "inf", "nan", "1e3", " 1", "1.2.3", "."])
@pytest.mark.parametrize("name", [protocol.PROCEED_TIMEOUT, protocol.INIT_TIMEOUT])
def test_a_patience_that_is_no_number_is_refused(name: str, text: str) -> None:
    """
    A clock set to "nan" would never ring.
    """
    with pytest.raises(UsageError, match="is not a number of seconds"):
        request.parse(["/mnt"], {name: text})
