"""
Policy: what goes over the comm socket, and the names of the environment variables around it.

    helper -> client   one zero byte with the device as SCM_RIGHTS
    client -> helper   proceed: one byte of any value            (sync-init only)
    helper -> client   status: int32, native: 0 or -errno        (sync-init only)
    helper -> client   report: one line of JSON, on a failure    (with _FUSE_REPORT=1 only)

Client and helper both read this file; it makes no system call (contract, sections 2 and 3).
"""

import sys

COMM_FD = "_FUSE_COMMFD"
REPORT = "_FUSE_REPORT"
PROCEED_TIMEOUT = "_FUSE_PROCEED_TIMEOUT"
INIT_TIMEOUT = "_FUSE_INIT_TIMEOUT"
KERN_DEVICE = "FUSE_KERN_DEVICE"

WAIT_SECONDS = 300.0  # for proceed, and again for FUSE_INIT; the two variables only shorten it
LOOKUP_SECONDS = 20.0  # for the file systems on the way to what is unmounted or guarded

DEVICE_MESSAGE = b"\0"
PROCEED = b"\0"
STATUS_BYTES = 4

STEPS = (
    "arguments", "device", "mountpoint", "permission", "options", "configure", "send", "proceed",
    "create", "mount", "attach",
)  # fmt: skip


def encode_status(number: int) -> bytes:
    """
    The status for an errno, 0 for success.

    Its first byte alone also tells success from failure, on either byte order: a client of the
    seed documents reads just that one.
    """
    return (-number).to_bytes(STATUS_BYTES, sys.byteorder, signed=True)


def decode_status(status: bytes) -> int:
    """The errno in a status of four bytes, or of one; ValueError for any other length."""
    if len(status) == 1:
        return status[0]
    if len(status) != STATUS_BYTES:
        raise ValueError(f"a status has 4 bytes, not {len(status)}")
    return -int.from_bytes(status, sys.byteorder, signed=True)


def encode_report(number: int, step: str, message: str, kernel: tuple[str, ...]) -> bytes:
    """The report of a failure; its strings may hold undecodable bytes (surrogateescape)."""
    from _json import encode_basestring_ascii as quote  # the json package: 6 ms, and of no use here

    lines = ", ".join(quote(_printable(line)) for line in kernel)
    return (
        f'{{"errno": {number}, "step": {quote(step)}, "message": {quote(_printable(message))}, '
        f'"kernel": [{lines}]}}\n'
    ).encode("ascii")


def _printable(text: str) -> str:
    """Bytes that are no UTF-8 become hexadecimal escapes: every JSON reader takes the report."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
