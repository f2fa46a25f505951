"""Every way to a mount: whatever helper and kernel there are, the same calls, the same result."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Literal

import pytest

from fusermount_py import client
from fusermount_py.hello import Hello
from support.machine import SITE
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.refuse_ioctl import refuse_sync_init
from support.story import children, mount_hello, serve
from support.users import User

Tell = Callable[..., object]
SyncInit = Literal["auto", "never", "require"]
HELLO = b"Hello from a file system in plain Python.\n"


def mount_and_look(
    mountpoint: Path, *, helper: str | None, sync_init: SyncInit = "auto", workers: int = 1
) -> bool:
    """The whole life of a mount; whether INIT was synchronous."""
    with client.prepare(
        mountpoint,
        ["fsname=demo", "subtype=hello", "ro"],
        sync_init=sync_init,
        workers=workers,
        helper=helper,
    ) as prepared:
        serve(prepared, workers)
        mounted = prepared.proceed()
    assert HELLO == (mountpoint / "hello").read_bytes()
    entry = mount_at(mountpoint)
    assert ("fuse.hello", b"demo", mounted.mount_id) == (entry.fstype, entry.source, entry.mount_id)
    assert {"nosuid", "nodev", "ro"} <= entry.attributes
    assert [] == children()
    mounted.unmount()
    assert [] == mounts_at(mountpoint)
    return prepared.sync_init


@pytest.mark.parametrize("workers", [1, 4])
def test_init_is_synchronous_where_helper_and_kernel_can(
    tell: Tell, ours: Program, mountpoint: Path, workers: int, synchronous: bool
) -> None:
    """
    Only then does an author learn from the mount call whether the server works.
    """
    armed = tell(lambda: mount_and_look(mountpoint, helper=ours.path, workers=workers))

    assert synchronous == armed


def test_a_helper_without_sync_init_mounts_classically(
    tell: Tell, theirs: Program, mountpoint: Path
) -> None:
    """
    Debian's helper of 2023 will be around for years; its users must not notice.
    """
    assert not tell(lambda: mount_and_look(mountpoint, helper=theirs.path))


def test_an_ordinary_mount_can_be_asked_for(tell: Tell, helper: Program, mountpoint: Path) -> None:
    """
    A library whose server cannot answer before the mount must be able to say so.
    """
    assert not tell(lambda: mount_and_look(mountpoint, helper=helper.path, sync_init="never"))


def test_a_kernel_without_sync_init_gets_the_same_handshake(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    On all kernels before 6.18 the device answers EPERM until it is mounted: workers must wait.
    """

    def story() -> bool:
        refuse_sync_init()
        caller.become()
        return mount_and_look(mountpoint, helper=ours.path, workers=2)

    assert not as_root(story)


def test_required_sync_init_is_refused_where_the_kernel_has_none(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Who needs SELinux labels at mount time must not get a mount without them.
    """

    def story() -> None:
        refuse_sync_init()
        caller.become()
        mount_and_look(mountpoint, helper=ours.path, sync_init="require")

    with pytest.raises(client.MountError) as caught:
        as_root(story)

    assert (errno.ENOTTY, "sync-init") == (caught.value.errno, caught.value.step)
    assert [] == mounts_at(mountpoint)


def as_root(story: Callable[[], object]) -> object:
    """Run it in a forked child that starts with root's rights."""
    return User(0, 0).call(story)


def test_required_sync_init_is_refused_where_the_helper_has_none(
    tell: Tell, theirs: Program, mountpoint: Path
) -> None:
    """
    Who needs SELinux labels at mount time must not get a mount without them.
    """
    with pytest.raises(client.MountError) as caught:
        tell(lambda: mount_and_look(mountpoint, helper=theirs.path, sync_init="require"))

    assert (errno.EOPNOTSUPP, "sync-init") == (caught.value.errno, caught.value.step)


def test_a_status_of_one_byte_is_understood(
    tell: Tell, liar: Callable[[str], str], mountpoint: Path, synchronous: bool
) -> None:
    """
    The helper of the design documents answers with one byte, libfuse's with four.
    """
    helper = liar(
        """
        real = Real()
        send(b"\\0", real.device())
        real.comm.send(comm.recv(1))
        send(real.comm.recv(4)[:1])
        """
    )

    assert synchronous == tell(lambda: mount_and_look(mountpoint, helper=helper))


def in_user_namespace(caller: User, call: str) -> tuple[bytes, bytes]:
    """Have a function of this file called by the caller as root of a namespace; what it printed."""
    folder = Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = [{str(SITE)!r}, {str(folder.parent)!r}, {str(folder)!r}];"
        f"from pathlib import Path; import test_routes; print(test_routes.{call})"
    )
    result = subprocess.run(
        ["/usr/bin/unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script],
        capture_output=True,
        check=False,
        user=caller.uid,
        group=caller.gid,
        extra_groups=[],
    )
    return result.stdout, result.stderr


def test_without_any_helper_a_user_namespace_mounts_by_itself(
    caller: User, mountpoint: Path, nowhere: None, synchronous: bool
) -> None:
    """
    In a container there is no setuid program, and none is needed.
    """
    call = f"mount_and_look(Path({os.fspath(mountpoint)!r}), helper=None)"

    assert (f"{synchronous}\n".encode(), b"") == in_user_namespace(caller, call)


def die_mounted(mountpoint: str) -> bool:
    """Mount with auto_unmount and be killed, in a child; whether the mount goes then."""
    child = os.fork()
    if child == 0:
        mount_hello(mountpoint, auto_unmount=True)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 10
    while mounts_at(mountpoint) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not mounts_at(mountpoint)


def test_without_any_helper_auto_unmount_works_all_the_same(
    caller: User, mountpoint: Path, nowhere: None
) -> None:
    """
    There is no guard program either; a dead mount in a container stays until its end.
    """
    call = f"die_mounted({os.fspath(mountpoint)!r})"

    assert (b"True\n", b"") == in_user_namespace(caller, call)


def test_without_any_helper_an_ordinary_user_is_told_so(
    tell: Tell, mountpoint: Path, nowhere: None
) -> None:
    """
    "No such file" alone would send people looking for their mountpoint.
    """
    with pytest.raises(client.HelperNotFound) as caught:
        tell(lambda: client.prepare(mountpoint))

    assert "neither fusermount3 nor fusermount is on PATH" in str(caught.value)


@pytest.mark.parametrize("helper", ["/missing", "/etc/passwd", "/"])
def test_a_helper_that_cannot_be_started_is_not_found(
    tell: Tell, mountpoint: Path, helper: str
) -> None:
    """
    Then what is wrong is the installation, and nothing about this mount.
    """
    with pytest.raises(client.HelperNotFound) as caught:
        tell(lambda: client.prepare(mountpoint, helper=helper))

    assert "spawn" == caught.value.step
    assert helper in str(caught.value)


def test_the_first_helper_on_path_is_taken(
    tell: Tell,
    ours: Program,
    mountpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    synchronous: bool,
) -> None:
    """
    That is where administrators put the one they want used.
    """
    monkeypatch.setenv("PATH", f"{Path(ours.path).parent}:/usr/bin")

    assert synchronous == tell(lambda: mount_and_look(mountpoint, helper=None))


@pytest.mark.parametrize("outcome", ["mounted", "abandoned"])
def test_an_author_may_wait_for_a_worker_before_proceeding(
    tell: Tell, ours: Program, mountpoint: Path, synchronous: bool, outcome: str
) -> None:
    """
    Many servers start their threads first and wait for all of them; that must not wait for ever.
    """
    if not synchronous:
        pytest.skip("needs synchronous INIT: without it a device cannot be read before the mount")

    class Signalling(Hello):
        started = Event()

        def serve(self, prepared: client.Prepared) -> None:
            prepared.worker_ready()
            self.started.set()
            super().serve(Fellow())  # type: ignore[arg-type]  # it has reported already

    class Fellow:
        def worker_ready(self) -> None:
            pass

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            server = Signalling(prepared.device)
            thread = Thread(target=server.serve, args=(prepared,), daemon=True)
            thread.start()
            assert server.started.wait(10)
            if outcome == "mounted":
                mounted = prepared.proceed()
                assert HELLO == (mountpoint / "hello").read_bytes()
                mounted.unmount()
        thread.join(10)
        assert not thread.is_alive()

    tell(story)


def test_workers_are_counted_before_the_mount_is_made(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A request that nobody reads hangs whoever made it.
    """

    def story() -> None:
        with client.prepare(
            mountpoint, workers=3, helper=ours.path, proceed_timeout=0.5
        ) as prepared:
            serve(prepared, 2)
            prepared.proceed()

    with pytest.raises(client.MountTimeout) as caught:
        tell(story)

    assert (errno.ETIMEDOUT, "workers") == (caught.value.errno, caught.value.step)
    assert [] == mounts_at(mountpoint)
