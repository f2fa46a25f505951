"""Something fails at each step: an answer, nothing left, and the same process mounts again."""

import errno
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Literal

import pytest

from fusermount_py import client
from fusermount_py.hello import Hello
from support.mount_table import mounts_at
from support.program import Program
from support.story import children, mount_hello, serve
from support.users import User

Tell = Callable[..., object]
SyncInit = Literal["auto", "never", "require"]


class Silent(Hello):
    """Takes the first request and never answers; says that it has."""

    def __init__(self, device: int) -> None:
        super().__init__(device)
        self.asked = Event()

    def _handle(self, request: bytes) -> None:
        self.asked.set()


def and_again(mountpoint: Path, helper: str) -> None:
    """What failed has left nothing, so that the same process can mount there at once."""
    assert [] == mounts_at(mountpoint)
    assert [] == children()
    mounted = mount_hello(mountpoint, helper=helper)
    assert b"Hello" in (mountpoint / "hello").read_bytes()
    mounted.unmount()


def silent_server(prepared: client.Prepared) -> Silent:
    server = Silent(prepared.device)
    Thread(target=server.serve, args=(prepared,), daemon=True).start()
    return server


class Interrupted(Exception):  # what the story is about
    """Raised by an author's code in the middle of things."""


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("step", ["prepared", "workers started", "mounted"])
@pytest.mark.parametrize("sync_init", ["auto", "never"])
def test_a_block_left_by_an_exception_leaves_nothing(
    tell: Tell,
    ours: Program,
    mountpoint: Path,
    sync_init: SyncInit,
    step: str,
    error: type[BaseException],
) -> None:
    """
    Whoever writes a with-block has no other place to clean up in.
    """

    def left() -> None:
        with client.prepare(mountpoint, sync_init=sync_init, helper=ours.path) as prepared:
            if step == "prepared":
                raise error
            serve(prepared)
            if step == "workers started":
                raise error
            prepared.proceed()
            raise error

    def story() -> None:
        with pytest.raises(error):
            left()
        and_again(mountpoint, ours.path)

    tell(story)


@pytest.mark.parametrize("waiting_for", ["the workers", "FUSE_INIT"])
def test_control_c_while_proceed_waits_leaves_nothing(
    tell: Tell, ours: Program, mountpoint: Path, waiting_for: str
) -> None:
    """
    It is what people press when a mount hangs.
    """

    def press(when: Event | None) -> None:
        if when is not None:
            when.wait(10)
        time.sleep(0.05)  # so that proceed() is waiting by then
        os.kill(os.getpid(), signal.SIGINT)

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            asked = silent_server(prepared).asked if waiting_for == "FUSE_INIT" else None
            Thread(target=press, args=(asked,)).start()
            with pytest.raises(KeyboardInterrupt):
                prepared.proceed()
        and_again(mountpoint, ours.path)

    tell(story)


@pytest.mark.parametrize("sync_init", ["auto", "never"])
@pytest.mark.parametrize("when", ["before it is ready", "after it was ready"])
def test_a_worker_that_says_it_failed_ends_the_mount(
    tell: Tell, ours: Program, mountpoint: Path, when: str, sync_init: SyncInit
) -> None:
    """
    A server that lost a worker while starting must not look as if it were up.
    """
    failure = OSError(errno.ENOSPC, "no room for a buffer")

    def worker(prepared: client.Prepared) -> None:
        if when == "after it was ready":
            prepared.worker_ready()
        prepared.worker_failed(failure)

    def story() -> None:
        with client.prepare(
            mountpoint,
            helper=ours.path,
            sync_init=sync_init,
        ) as prepared:
            Thread(target=worker, args=(prepared,)).start()
            time.sleep(0.05)  # else a classic mount could be there before the worker fails
            with pytest.raises(client.MountError) as caught:
                prepared.proceed()
        assert (errno.ENOSPC, "workers") == (caught.value.errno, caught.value.step)
        assert "no room for a buffer" in caught.value.message
        assert caught.value.__cause__ is failure
        and_again(mountpoint, ours.path)

    tell(story)


def test_a_worker_that_fails_during_init_ends_the_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    Otherwise proceed() would wait out the five minutes that a server has for its answer.
    """

    def worker(prepared: client.Prepared, server: Silent) -> None:
        server.asked.wait(10)
        prepared.worker_failed("cannot agree with this kernel")

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            server = silent_server(prepared)
            Thread(target=worker, args=(prepared, server)).start()
            with pytest.raises(client.MountError, match="cannot agree with this kernel"):
                prepared.proceed()
        and_again(mountpoint, ours.path)

    tell(story)


def test_a_worker_that_fails_later_takes_its_mount_along(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A file system with nobody behind it hangs whoever looks at it.
    """

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            serve(prepared)
            mounted = prepared.proceed()
        prepared.worker_failed("lost the network")
        assert mounted.wait(10)
        and_again(mountpoint, ours.path)

    tell(story)


def test_workers_that_die_during_init_end_the_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    An exception in a thread tells nobody; the mount call must not wait five minutes for it.
    """

    def worker(prepared: client.Prepared) -> None:
        prepared.worker_ready()
        os.read(prepared.device, client.REQUEST_BYTES)

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            Thread(target=worker, args=(prepared,)).start()
            with pytest.raises(client.MountError, match="ended before INIT was answered"):
                prepared.proceed()
        and_again(mountpoint, ours.path)

    tell(story)


def test_a_mount_that_was_forgotten_leaves_nothing_for_the_next(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    Without a with-block there is only the garbage collector to notice.
    """

    def story() -> None:
        client.prepare(mountpoint, helper=ours.path)
        deadline = time.monotonic() + 10
        state = Path(f"/proc/{children()[0]}/stat")
        while state.read_text(encoding="ascii").split()[2] != "Z" and time.monotonic() < deadline:
            time.sleep(0.005)
        mount_hello(mountpoint, helper=ours.path).unmount()
        assert [] == children()

    tell(story)


def test_a_mount_given_up_by_another_thread_ends_at_once(
    tell: Tell, liar: Callable[[str], str], home: Path, mountpoint: Path
) -> None:
    """
    A socket that one thread polls is not closed by another's close(): the helper would not notice.
    """
    helper = liar(
        f"""
        send(b"\\0", os.open("/dev/fuse", os.O_RDWR))
        if comm.recv(1) == b"":
            open({os.fspath(home / "noticed")!r}, "w").close()
        """
    )

    def give_up(prepared: client.Prepared) -> None:
        time.sleep(0.1)  # so that proceed() is waiting by then
        prepared.abandon()

    def story() -> None:
        with client.prepare(mountpoint, helper=helper) as prepared:
            thread = Thread(target=give_up, args=(prepared,))
            thread.start()
            with pytest.raises(client.MountError, match="the mount was given up"):
                prepared.proceed()
            thread.join()
        assert (home / "noticed").exists()

    tell(story)


def test_an_init_refused_by_the_server_is_told_as_such(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    "Transport endpoint is not connected" sends people to the network.
    """

    class Refusing(Hello):
        def _init(self, _node: int, _body: bytes) -> bytes:
            raise OSError(errno.EPROTO, "too old a kernel")

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            server = Refusing(prepared.device)
            Thread(target=server.serve, args=(prepared,), daemon=True).start()
            with pytest.raises(client.MountError) as caught:
                prepared.proceed()
        assert (errno.ENOTCONN, "create") == (caught.value.errno, caught.value.step)
        assert "refused FUSE_INIT" in caught.value.message
        and_again(mountpoint, ours.path)

    tell(story)


def test_a_server_that_never_answers_init_is_given_up_in_time(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A boot must not hang on one file system.
    """

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path, init_timeout=0.3) as prepared:
            silent_server(prepared)
            with pytest.raises(client.MountTimeout) as caught:
                prepared.proceed()
        assert (errno.ETIMEDOUT, "create") == (caught.value.errno, caught.value.step)
        and_again(mountpoint, ours.path)

    tell(story)


@pytest.mark.parametrize("step", ["prepared", "workers started", "during INIT"])
def test_a_helper_killed_in_the_middle_is_a_mount_error(
    tell: Tell, ours: Program, mountpoint: Path, step: str
) -> None:
    """
    Administrators kill what hangs, and the kernel what takes too much memory.
    """

    def killer(server: Silent) -> None:
        server.asked.wait(10)
        os.kill(children()[0], signal.SIGKILL)

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            if step == "prepared":
                os.kill(children()[0], signal.SIGKILL)
            if step == "during INIT":
                Thread(target=killer, args=(silent_server(prepared),)).start()
            else:
                serve(prepared)
            if step == "workers started":
                os.kill(children()[0], signal.SIGKILL)
            with pytest.raises(client.MountError) as caught:
                prepared.proceed()
        assert "the helper ended with status -9" in caught.value.message
        and_again(mountpoint, ours.path)

    tell(story)


@pytest.mark.parametrize("step", ["prepared", "workers started", "during INIT", "mounted"])
@pytest.mark.parametrize("sync_init", ["auto", "never"])
def test_a_client_killed_in_the_middle_leaves_nothing(
    ours: Program, caller: User, mountpoint: Path, sync_init: SyncInit, step: str
) -> None:
    """
    SIGKILL gives nobody a chance to clean up; the helper and the guard are there for that.
    """
    reader, writer = os.pipe()

    def reach() -> None:
        with client.prepare(
            mountpoint,
            sync_init=sync_init,
            auto_unmount=True,
            helper=ours.path,
        ) as prepared:
            if step == "during INIT":
                Thread(target=prepared.proceed, daemon=True).start()
                silent_server(prepared).asked.wait(10)
            elif step != "prepared":
                serve(prepared)
            if step == "mounted":
                prepared.proceed()
            os.write(writer, b"here")
            time.sleep(60)

    child = os.fork()
    if child == 0:
        try:
            caller.become()
            reach()
        finally:
            os._exit(1)
    assert b"here" == os.read(reader, 4)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)

    deadline = time.monotonic() + 10
    while mounts_at(mountpoint) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize("sync_init", ["auto", "never"])
def test_a_process_without_descriptors_left_gets_an_answer(
    tell: Tell, ours: Program, mountpoint: Path, sync_init: SyncInit
) -> None:
    """
    Servers with thousands of clients run out of them, and then mount one more.
    """

    def story() -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        first_free = os.dup(0)
        os.close(first_free)
        failures = 0
        for spare in range(0, 42, 3):
            resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + spare, before[1]))
            mounted = None
            try:
                mounted = mount_hello(mountpoint, helper=ours.path, sync_init=sync_init)
            except client.MountError:
                failures += 1
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
            if mounted is not None:
                mounted.unmount()
            assert [] == mounts_at(mountpoint)
            assert [] == children()
        assert failures in range(1, 14)

    tell(story)


@pytest.mark.parametrize("how", ["read", "poll", "epoll_ctl"])
def test_a_thread_that_did_not_wait_to_be_let_go_is_woken(
    tell: Tell, ours: Program, mountpoint: Path, how: str
) -> None:
    """
    An armed device that will never be mounted ends no read, not even when it is closed.
    """
    import select

    def read(prepared: client.Prepared) -> None:
        if how == "read":
            assert b"" == os.read(prepared.device, client.REQUEST_BYTES)
        elif how == "poll":
            poll = select.poll()
            poll.register(prepared.device, select.POLLIN)
            poll.poll()
        else:
            with select.epoll() as epoll:
                epoll.register(prepared.device)

    def wait_for_block(thread: Thread) -> None:
        deadline = time.monotonic() + 10
        place = Path(f"/proc/self/task/{thread.native_id}/wchan")
        while "fuse" not in place.read_text(encoding="ascii") and time.monotonic() < deadline:
            time.sleep(0.005)

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            thread = Thread(target=read, args=(prepared,), daemon=True)
            thread.start()
            wait_for_block(thread)
            prepared.abandon()
        thread.join(5)
        assert not thread.is_alive()
        and_again(mountpoint, ours.path)

    tell(story)
