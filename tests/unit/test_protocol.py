"""The bytes of the comm socket that a client reads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusermount_py.helper import protocol

WORDS = st.binary(max_size=40).map(lambda word: word.decode("utf-8", "surrogateescape"))


@given(st.integers(0, 255))
def test_the_first_byte_tells_success_from_failure(number: int) -> None:
    """
    Clients of the seed documents read one byte, libfuse reads four: both must be right.
    """
    status = protocol.encode_status(number)

    assert 4 == len(status)
    assert (number == 0) == (status[0] == 0)
    assert (number == 0) == (protocol.decode_status(status[:1]) == 0)


@given(st.integers(0, 4095))
def test_a_status_is_read_back(number: int) -> None:
    """
    4095 is the kernel's largest errno.
    """
    assert number == protocol.decode_status(protocol.encode_status(number))


@pytest.mark.parametrize("length", [0, 2, 3, 5, 8])
def test_a_status_of_another_length_is_refused(length: int) -> None:
    """
    A cut-off status must never be taken for success.
    """
    with pytest.raises(ValueError, match="4 bytes"):
        protocol.decode_status(bytes(length))


@given(st.integers(0, 4095), st.sampled_from(protocol.STEPS), WORDS, st.lists(WORDS, max_size=3))
def test_a_report_is_one_line_of_json_whatever_the_names(
    number: int, step: str, message: str, kernel: list[str]
) -> None:
    """
    Paths may hold any bytes; a report that no reader takes helps nobody.
    """
    line = protocol.encode_report(number, step, message, tuple(kernel))

    assert (1, b"\n") == (line.count(b"\n"), line[-1:])
    report = json.loads(line)
    assert ["errno", "step", "message", "kernel"] == list(report)
    assert (number, step, len(kernel)) == (report["errno"], report["step"], len(report["kernel"]))
    # A lone surrogate, which stricter readers than Python's refuse, would fail here.
    "".join((report["message"], *report["kernel"])).encode("utf-8")
    if message.isascii():
        assert message == report["message"]
