"""
Taking turns with the helper, once for threads and once for asyncio.

A flow is a generator: it yields what it waits for (Until) and is resumed with the descriptors that
became readable, none if the deadline came first. run() drives it with poll(2) in this thread,
run_async() with the running event loop. An exception that strikes while a flow waits
(KeyboardInterrupt, cancellation) is raised inside the flow, so that its own clean-up runs.
"""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from typing import TypeVar

    Result = TypeVar("Result")
    Flow = Generator["Until", Collection[int], Result]

now = time.monotonic


class Until:
    """Until one of these is readable or hung up, or the monotonic clock says ``deadline``."""

    __slots__ = ("deadline", "descriptors")

    def __init__(self, descriptors: Collection[int], deadline: float) -> None:
        # Another thread may have given up, and closed one of them.
        self.descriptors = [descriptor for descriptor in descriptors if descriptor >= 0]
        self.deadline = deadline


def readable(until: Until, *, wait: bool) -> list[int]:
    """Those of the descriptors that can be read, after waiting for the first if told to."""
    poll = select.poll()
    for descriptor in until.descriptors:
        poll.register(descriptor, select.POLLIN)
    left = max(0.0, until.deadline - now()) if wait else 0.0
    return [descriptor for descriptor, _ in poll.poll(left * 1000)]


def run(flow: Flow[Result]) -> Result:
    """Drive a flow in this thread."""
    try:
        until = next(flow)
        while True:
            try:
                ready = readable(until, wait=True)
            except BaseException as error:  # noqa: BLE001  # the flow undoes, then raises it again
                until = flow.throw(error)
            else:
                until = flow.send(ready)
    except StopIteration as stop:
        result: Result = stop.value
        return result


async def run_async(flow: Flow[Result]) -> Result:
    """Drive a flow in the running event loop; no thread is used."""
    try:
        until = next(flow)
        while True:
            try:
                ready = await _readable_async(until)
            except BaseException as error:  # noqa: BLE001  # see run()
                until = flow.throw(error)
            else:
                until = flow.send(ready)
    except StopIteration as stop:
        result: Result = stop.value
        return result


async def _readable_async(until: Until) -> list[int]:
    import asyncio  # 40 ms, and whoever calls this has paid them

    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(max(0.0, until.deadline - now()), wake)
    for descriptor in until.descriptors:
        loop.add_reader(descriptor, wake)
    try:
        await woken
    finally:
        timer.cancel()
        for descriptor in until.descriptors:
            loop.remove_reader(descriptor)
    return readable(until, wait=False)
