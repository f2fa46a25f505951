"""Whatever a helper sends is understood, or a MountError: nothing else, and never a hang."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusermount_py import client
from fusermount_py.client import errors, replies
from fusermount_py.helper import protocol
from support.mount_table import mounts_at
from support.story import mount_hello

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NEARLY_A_REPORT = st.fixed_dictionaries(
    {},
    optional={
        "errno": st.integers() | ANY_JSON,
        "step": st.sampled_from(protocol.STEPS) | ANY_JSON,
        "message": st.text() | ANY_JSON,
        "kernel": st.lists(st.text()) | ANY_JSON,
    },
)


def understood(read: Callable[[], object]) -> object:
    """What it reads, or the MountError it raises; any other exception is a failure."""
    try:
        answer = read()
    except client.MountError as error:
        answer = error
    if isinstance(answer, client.MountError):
        assert answer.errno
        assert isinstance(str(answer), str)
    return answer


@given(st.binary(max_size=64), st.lists(st.integers(3, 9), max_size=4), st.booleans())
def test_a_device_message_is_a_device_or_a_mount_error(
    data: bytes, descriptors: list[int], truncated: bool
) -> None:
    """
    Only one zero byte with one descriptor is what both sides have agreed on.
    """
    answer = understood(lambda: replies.check_device(data, descriptors, truncated=truncated))

    agreed = (data, len(descriptors), truncated) == (b"\0", 1, False)
    assert agreed == (answer is None)


@given(st.binary(max_size=9))
def test_a_status_is_an_errno_or_a_mount_error(data: bytes) -> None:
    """
    A negative errno, or one of a billion, would travel into everybody's error handling.
    """
    answer = understood(lambda: replies.status(data))

    assert isinstance(answer, client.MountError) or answer in range(4096)
    assert (0 == answer) == (data in (b"\0", b"\0\0\0\0"))


@given(st.integers(1, 4095))
def test_a_status_of_the_helper_comes_back_as_its_errno(number: int) -> None:
    """
    Both sides are ours here; whoever changes one has to change the other.
    """
    status = protocol.encode_status(number)

    assert number == replies.status(status)
    assert replies.status(status[:1]) == (errno.EIO if status[0] else 0)


@given(st.binary(max_size=200) | ANY_JSON.map(json.dumps).map(str.encode))
@settings(max_examples=300)
def test_a_report_is_read_or_a_mount_error(data: bytes) -> None:
    """
    JSON has more ways to surprise than any other part of this protocol.
    """
    assert isinstance(understood(lambda: replies.report(data)), client.MountError)


@given(NEARLY_A_REPORT)
@settings(max_examples=300)
def test_a_report_that_is_nearly_right_is_read_or_a_mount_error(words: dict[str, object]) -> None:
    """
    Types are turned at the door, so that an author can use errno as a number.
    """
    answer = understood(lambda: replies.report(json.dumps(words).encode()))

    assert isinstance(answer, client.MountError)
    assert isinstance(answer.errno, int)
    assert isinstance(answer.step, str)
    assert all(isinstance(line, str) for line in answer.kernel)


@given(
    st.integers(1, 4095),
    st.sampled_from(protocol.STEPS),
    st.text(min_size=1).filter(str.isprintable),
    st.lists(st.text().filter(str.isprintable)),
)
def test_a_report_of_the_helper_comes_back_as_it_was(
    number: int, step: str, message: str, kernel: list[str]
) -> None:
    """
    Both sides are ours here; whoever changes one has to change the other.
    """
    error = replies.report(protocol.encode_report(number, step, message, tuple(kernel)))

    assert (number, step, message) == (error.errno, error.step, error.message)
    assert tuple(kernel) == error.kernel


@pytest.mark.parametrize("data", [b"{" * 100_000, b"[" * 100_000, b'{"errno": ' + b"9" * 9999])
def test_a_report_that_attacks_the_reader_is_a_mount_error(data: bytes) -> None:
    """
    Depth and length exhaust readers that were written for friends.
    """
    assert isinstance(understood(lambda: replies.report(data)), client.MountError)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_stderr_is_a_sentence(said: bytes, number: int) -> None:
    """
    It comes from a program of 2010 in a locale nobody knows.
    """
    error = errors.from_stderr(said, step="create", otherwise="nothing was said", number=number)

    assert error.errno
    assert error.message


@pytest.mark.parametrize(
    ("said", "number", "kind"),
    [
        ("mount failed: Operation not permitted", errno.EPERM, client.MountError),
        ("bad mount point /x: No such file or directory", errno.ENOENT, client.MountError),
        ("a warning\nfusermount3: a reason: Permission denied", errno.EACCES, client.MountError),
        ("user has no write access to mountpoint /x", errno.EPERM, client.MountRefused),
        ("entry for /x not found in /etc/mtab", errno.EPERM, client.MountRefused),
        ("", errno.EIO, client.MountError),
    ],
)
def test_the_sentences_of_old_helpers_have_an_errno(
    said: str, number: int, kind: type[client.MountError]
) -> None:
    """
    They have never said more than this sentence, and authors still need a number.
    """
    stderr = f"fusermount3: {said}\n".encode() if said else b""

    error = errors.from_stderr(stderr, step="receive", otherwise="nothing was said")

    assert (number, kind) == (error.errno, type(error))


def test_any_messages_of_a_live_helper_are_a_mount_error(
    tell: Callable[..., object], liar: Callable[[str], str], home: Path, mountpoint: Path
) -> None:
    """
    The reader that must not hang is the one with a socket, not the one with bytes.
    """
    script = home / "messages"
    helper = liar(
        f"""
        for line in open({str(script)!r}).read().split():
            kind, payload = line[0], bytes.fromhex(line[1:])
            if kind == "p":
                comm.recv(1)
            elif kind == "e":
                os.write(2, payload)
            else:
                send(payload, *[os.open("/dev/fuse", os.O_RDWR)] * (kind == "d"))
        """
    )
    payloads = st.binary(max_size=8) | st.sampled_from([b"\0", bytes(4), b"{}", b"\xff" * 4])
    lines = st.tuples(st.sampled_from("pemd"), payloads).map(lambda line: line[0] + line[1].hex())

    @given(st.lists(lines, max_size=4), st.booleans())
    @settings(max_examples=40, deadline=None, database=None)
    def one(messages: list[str], begins_well: bool) -> None:
        script.write_text("\n".join(["d00"] * begins_well + messages), encoding="ascii")
        with pytest.raises(client.MountError):
            mount_hello(mountpoint, helper=helper, proceed_timeout=1, init_timeout=1)
        assert [] == mounts_at(mountpoint)

    tell(one)
