"""
What is said between client and helper, in its order; replies.py reads the bytes.

    receive_device    <- device          None when an old helper does not know --sync-init
    await_status      <- status          and the report behind a status that is an errno
    unexpected        <- anything        out of turn: a report, the end, or nonsense
"""

from __future__ import annotations

import errno

from fusermount_py import stdio
from fusermount_py.client import replies
from fusermount_py.client.device import Device, is_fuse
from fusermount_py.client.errors import MountError, MountTimeout, from_stderr
from fusermount_py.client.turns import now

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from typing import NoReturn

    from fusermount_py.client.comm import Message
    from fusermount_py.client.helper_process import HelperProcess
    from fusermount_py.client.roll_call import RollCall
    from fusermount_py.client.turns import Flow

MARGIN_SECONDS = 2.0  # the helper's clock is the same as ours: let it say so itself
_LOOK_SECONDS = 0.001  # poll(2) cannot wait for less
_WATCH_SECONDS = 0.1  # between two looks whether the workers are alive
_ENDED_SECONDS = 1.0  # one that has answered INIT may end: the status is on its way then


def receive_device(helper: HelperProcess, deadline: float) -> Flow[Device | None]:
    """The device; None if the helper ended because it does not know --sync-init."""
    message = yield from helper.listen(deadline)
    if message is None:
        raise MountTimeout(errno.ETIMEDOUT, "the helper sent no device", step="receive")
    try:
        if not message.data and not message.descriptors:
            status = yield from helper.end()
            # getopt names the option it does not know, in every language; a helper that says
            # nothing at all gets its second chance as well.
            if b"sync-init" in helper.said or not helper.said.strip():
                return None
            raise from_stderr(helper.said, step="receive", otherwise=_unsaid(status, "a device"))
        replies.check_device(message.data, message.descriptors, truncated=message.truncated)
        if not is_fuse(message.descriptors[0]):
            raise replies.nonsense("what it sent is no FUSE device")
        return Device(stdio.clear_of_stdio(message.descriptors.pop()))
    finally:
        message.close()


def await_status(
    helper: HelperProcess, device: Device, workers: RollCall, seconds: float
) -> Flow[None]:
    """
    Return when the helper says that it is mounted; meanwhile let the workers go when they can read.

    ``seconds`` is what the server has for its answer to FUSE_INIT.
    """
    last_seen = now()
    deadline = last_seen + seconds + MARGIN_SECONDS
    message = None
    while message is None:
        if now() >= deadline:
            raise MountTimeout(errno.ETIMEDOUT, "the helper sent no status", step="create")
        if device.armed and not workers.is_decided() and device.is_attached() is not False:
            workers.release()
        if not workers.have_ended():
            last_seen = now()
        elif now() > last_seen + _ENDED_SECONDS:
            raise MountError(
                errno.EIO, "the workers ended before INIT was answered", step="workers"
            )
        pause = _WATCH_SECONDS if workers.is_decided() else _LOOK_SECONDS
        message = yield from helper.listen(min(now() + pause, deadline), (workers.bell,))
        workers.complete()  # raises for one that failed
        workers.hear()
    if message.descriptors or not message.data or message.data.startswith(b"{"):
        yield from unexpected(helper, message)
    number = replies.status(message.data)
    if number != 0:
        yield from _explain(helper, number)
    check_attached(device)


def check_attached(device: Device) -> None:
    """Believe the device, not the helper, that there is a mount."""
    if device.is_attached() is False:
        raise replies.nonsense("it says that it has mounted, but its device is not in use")


def _explain(helper: HelperProcess, number: int) -> Flow[NoReturn]:
    """Raise for a mount that failed: with the helper's report if it sends one, else its stderr."""
    report = yield from helper.listen(now() + MARGIN_SECONDS)
    if report is not None:
        report.close()
        if report.data:
            raise replies.report(report.data)
    yield from helper.end()
    raise from_stderr(
        helper.said, step="create", otherwise="the helper could not mount", number=number
    )


def unexpected(helper: HelperProcess, message: Message) -> Flow[NoReturn]:
    """Raise for a message that was not due."""
    bare = not message.descriptors
    message.close()
    if bare and message.data.startswith(b"{"):
        raise replies.report(message.data)
    if message.data or not bare:
        raise replies.nonsense("a message came that was not due")
    status = yield from helper.end()
    raise from_stderr(helper.said, step="proceed", otherwise=_unsaid(status, "a status"))


def _unsaid(status: int | None, what: str) -> str:
    how = "" if status is None else f" with status {status}"
    return f"the helper ended{how} before it sent {what}"
