"""
The bytes that come from a helper: pure, without system calls. Anything else is a MountError.

    device   one zero byte, exactly one fd          the mount is prepared (classic: made)
    status   native int32, 0 or -errno              sync-init is over; one byte in older protocols
    report   one JSON object, no fd                 why it failed (contract, 3.3)
"""

from __future__ import annotations

import errno
import os
import sys

from fusermount_py.client.errors import MountError, from_report
from fusermount_py.helper.protocol import STATUS_BYTES

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

_ERRNO_MAX = 4095  # linux/err.h: MAX_ERRNO


def check_device(data: bytes, descriptors: Sequence[int], *, truncated: bool = False) -> None:
    """Return if this message hands over a device, else raise what it says instead."""
    if not descriptors and not truncated and data.startswith(b"{"):
        raise report(data)
    if truncated or len(descriptors) != 1 or data != b"\0":
        raise nonsense(f"{len(data)} bytes and {len(descriptors)} fds where one of each was due")


def status(data: bytes) -> int:
    """The errno a status message tells, 0 for a mount that is there."""
    if len(data) == 1:
        # The first byte of the int32 is not zero for any errno, so one byte says yes or no only.
        return 0 if data == b"\0" else errno.EIO
    number = -int.from_bytes(data, sys.byteorder, signed=True)
    if len(data) != STATUS_BYTES or not 0 <= number <= _ERRNO_MAX:
        raise nonsense(f"status {data[:16].hex()} is none")
    return number


def report(data: bytes) -> MountError:
    """What a report says, as an exception to raise; raises MountError itself if it is no report."""
    import json  # 7 ms, and only a failure pays them

    try:
        said = json.loads(data)
        number, step, message, kernel = (
            said[key] for key in ("errno", "step", "message", "kernel")
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise nonsense("report is not readable") from None
    if not (
        type(number) is int
        and isinstance(step, str)
        and isinstance(message, str)
        and isinstance(kernel, list)
        and all(isinstance(line, str) for line in kernel)
    ):
        raise nonsense("report holds other things than agreed")
    known = number if 0 < number <= _ERRNO_MAX else errno.EIO
    return from_report(known, step, message or os.strerror(known), kernel)


def nonsense(what: str) -> MountError:
    """The exception for bytes that are none of these."""
    return MountError(
        errno.EPROTO, f"the helper does not speak the protocol: {what}", step="receive"
    )
