"""Many at once: from threads, from one event loop, and both."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import active_count

import pytest

from fusermount_py import client
from fusermount_py.hello import Hello
from support.mount_table import mounts_at, mounts_below
from support.program import Program
from support.story import children, mount_hello

Tell = Callable[..., object]
MOUNTS = 100
AT_ONCE = 8


def mountpoints(home: Path, name: str, number: int = MOUNTS) -> list[Path]:
    paths = [home / f"{name}-{each}" for each in range(number)]
    for path in paths:
        path.mkdir()
    return paths


class Task(Hello):
    """The example server as a part of an event loop: no thread waits for its requests."""

    async def serve_async(self, prepared: client.Prepared) -> None:
        await prepared.worker_ready_async()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._device, self._answer_one)

    def _answer_one(self) -> None:
        try:
            self._handle(os.read(self._device, client.REQUEST_BYTES))
        except OSError:  # ENODEV: unmounted
            self._loop.remove_reader(self._device)


async def mount_async(mountpoint: Path, **how: object) -> client.Mounted:
    prepared = await client.prepare_async(mountpoint, **how)  # type: ignore[arg-type]  # passed on
    async with prepared, asyncio.TaskGroup() as group:
        group.create_task(Task(prepared.device).serve_async(prepared))
        return await prepared.proceed_async()


async def use(mounted: client.Mounted) -> None:
    """Read a file of it; in a thread, because this loop has to answer."""
    path = os.path.join(mounted.mountpoint, "hello")
    assert b"Hello" in await asyncio.to_thread(lambda: Path(path).read_bytes())


@pytest.mark.parametrize("sync_init", ["auto", "never"])
def test_an_event_loop_mounts_serves_and_unmounts(
    tell: Tell, ours: Program, mountpoint: Path, sync_init: str
) -> None:
    """
    A server written with asyncio must not need a thread to be mounted.
    """

    async def life() -> None:
        threads = active_count()
        mounted = await mount_async(mountpoint, helper=ours.path, sync_init=sync_init)
        assert threads == active_count()
        await use(mounted)
        await mounted.unmount_async()
        assert [] == children()

    tell(lambda: asyncio.run(life()))


@pytest.mark.parametrize("when", ["preparing", "waiting for workers", "waiting for INIT"])
def test_a_cancelled_mount_leaves_nothing(
    tell: Tell, ours: Program, mountpoint: Path, when: str
) -> None:
    """
    Whoever sets a time limit around it has nothing to clean up with.
    """

    async def mount() -> None:
        async with await client.prepare_async(mountpoint, helper=ours.path) as prepared:
            if when == "waiting for INIT":
                prepared.worker_ready()
            await prepared.proceed_async()

    async def life() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mount(), 0.001 if when == "preparing" else 0.3)
        assert [] == mounts_at(mountpoint)
        assert [] == children()
        mounted = await mount_async(mountpoint, helper=ours.path)
        await mounted.unmount_async()

    tell(lambda: asyncio.run(life()))


def test_a_loop_is_never_blocked_by_a_mount(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    What else the loop serves must go on while a helper takes its time.
    """

    async def life() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        prepared = await client.prepare_async(mountpoint, helper=ours.path, proceed_timeout=0.5)
        with pytest.raises(client.MountTimeout):
            await prepared.proceed_async()
        ticking.cancel()
        assert ticks > 50

    tell(lambda: asyncio.run(life()))


@pytest.mark.timeout(120)
def test_a_hundred_from_threads_and_a_hundred_from_a_loop_at_once(
    tell: Tell, ours: Program, home: Path
) -> None:
    """
    A service that mounts for its users does so for all of them at the same moment.
    """

    def one(mountpoint: Path) -> None:
        mounted = mount_hello(mountpoint, workers=2, helper=ours.path)
        assert b"Hello" in (mountpoint / "hello").read_bytes()
        mounted.unmount()

    async def other(mountpoint: Path, turn: asyncio.Semaphore) -> None:
        async with turn:
            mounted = await mount_async(mountpoint, helper=ours.path)
            await use(mounted)
            await mounted.unmount_async()

    async def others(paths: list[Path]) -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for path in paths:
                group.create_task(other(path, turn))

    def story() -> None:
        from_threads = mountpoints(home, "thread")
        from_loop = mountpoints(home, "loop")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = [pool.submit(one, path) for path in from_threads]
            asyncio.run(others(from_loop))
            for result in results:
                result.result()
        assert [] == mounts_below(home)

    tell(story)


def test_many_failing_at_once_leave_nothing(
    tell: Tell, liar: Callable[[str], str], ours: Program, home: Path
) -> None:
    """
    One attempt's clean-up must not take another's mount.
    """
    helper = liar("sys.exit(1)")

    def one(number: int, mountpoint: Path) -> None:
        if number % 2:
            with pytest.raises(client.MountError):
                mount_hello(mountpoint, helper=helper)
        else:
            mount_hello(mountpoint, helper=ours.path).unmount()

    def story() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(32), mountpoints(home, "each", 32)))

    tell(story)
