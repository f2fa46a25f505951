"""A mount that is there: what it tells, how it ends, and what a mount that fails says."""

import errno
import os
import pickle
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from fusermount_py import client
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.story import children, mount_hello, serve
from support.users import User

Tell = Callable[..., object]


def test_a_mount_that_others_unmount_is_over(tell: Tell, helper: Program, mountpoint: Path) -> None:
    """
    Users unmount with fusermount3 -u, and the server has to notice and end.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, helper=helper.path)
        assert not mounted.wait(0.01)
        client.unmount(mountpoint, helper=helper.path)
        assert mounted.wait(10)
        mounted.unmount()

    tell(story)


def test_unmounting_twice_is_no_error(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    A signal handler and an exit path both do it.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, helper=ours.path)
        mounted.unmount()
        mounted.unmount()
        mounted.unmount(lazy=True)

    tell(story)


def test_unmounting_closes_the_device(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    The author may keep what is left of it in a list of old mounts for ever.
    """

    def story() -> None:
        with client.prepare(mountpoint, helper=ours.path) as prepared:
            serve(prepared)
            mounted = prepared.proceed()
        assert "/dev/fuse" == os.readlink(f"/proc/self/fd/{prepared.device}")
        mounted.unmount()
        assert not os.path.lexists(f"/proc/self/fd/{prepared.device}")

    tell(story)


def test_unmounting_from_many_threads_at_once_is_no_error(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A signal handler and an exit path both do it, and at the same time.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, helper=ours.path)
        failures: list[BaseException] = []

        def unmount() -> None:
            try:
                mounted.unmount()
            except client.MountError as error:
                failures.append(error)

        threads = [Thread(target=unmount) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failures

    tell(story)


def test_a_mount_in_use_stays_until_it_is_taken_lazily(
    tell: Tell, helper: Program, mountpoint: Path
) -> None:
    """
    Files that are open must stay readable, also when the mount is out of sight.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, helper=helper.path)
        with open(mountpoint / "hello", "rb", buffering=0) as file:
            with pytest.raises(client.MountError) as caught:
                mounted.unmount()
            assert (errno.EBUSY, "unmount") == (caught.value.errno, caught.value.step)
            mounted.unmount(lazy=True)
            assert [] == mounts_at(mountpoint)
            assert b"Hello" == file.read(5)
            assert not mounted.wait(0.01)
        assert mounted.wait(10)

    tell(story)


def test_low_descriptors_may_be_files_of_the_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    A child that closes such a file asks this very process, which would be waiting for the child.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, helper=ours.path)
        kept = {number: os.dup(number) for number in range(10)}
        file = os.open(mountpoint / "hello", os.O_RDONLY)
        for number in kept:
            os.dup2(file, number)
        mounted.unmount(lazy=True)
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(file)
        assert mounted.wait(10)

    tell(story)


def test_only_this_mount_is_unmounted_not_what_lies_on_it(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    The name of a mountpoint says nothing about what is mounted there by now.
    """

    def story() -> None:
        below = mount_hello(mountpoint, ["fsname=below"], helper=ours.path)
        above = mount_hello(mountpoint, ["fsname=above"], helper=ours.path)
        with pytest.raises(client.MountError, match="covered by another mount"):
            below.unmount()
        assert [b"below", b"above"] == [entry.source for entry in mounts_at(mountpoint)]
        above.unmount()
        below.unmount()

    tell(story)


def test_what_another_user_mounted_is_refused(
    tell: Tell, ours: Program, caller: User, another_user: User, mountpoint: Path
) -> None:
    """
    MountRefused tells an author apart what asking again will not change.
    """

    def story() -> None:
        with pytest.raises(client.MountRefused, match="not found in /etc/mtab") as caught:
            client.unmount(mountpoint, helper=ours.path)
        assert (errno.EPERM, "unmount") == (caught.value.errno, caught.value.step)

    tell(story)


def test_the_end_of_a_mounted_block_unmounts(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    A server that ends by an exception has nobody to answer requests.
    """

    def story() -> None:
        with mount_hello(mountpoint, helper=ours.path):
            assert mounts_at(mountpoint)
        assert [] == mounts_at(mountpoint)

    tell(story)


@pytest.mark.parametrize("spelled", ["mountpoint", "./mountpoint/", "mountpoint/.", "."])
def test_a_relative_mountpoint_is_still_unmounted_after_chdir(
    tell: Tell, ours: Program, home: Path, mountpoint: Path, spelled: str
) -> None:
    """
    Servers go to / when they become daemons.
    """

    def story() -> None:
        before = os.getcwd()
        os.chdir(mountpoint if spelled == "." else home)
        mounted = mount_hello(spelled, helper=ours.path)
        os.chdir("/")
        assert os.fspath(mountpoint) == mounted.mountpoint
        assert mount_at(mountpoint).mount_id == mounted.mount_id
        mounted.unmount()
        os.chdir(before)

    tell(story)


@pytest.mark.parametrize(
    "name", [b"a b", b"new\nline", b"tab\there", b"b\\ack", b"\xff\xfe", b"-o"]
)
def test_a_name_is_bytes(tell: Tell, ours: Program, home: Path, name: bytes) -> None:
    """
    Paths have no encoding, and the mount table escapes some of their bytes.
    """
    strange = os.path.join(os.fsencode(home), name)

    def story() -> None:
        os.mkdir(strange)
        with mount_hello(strange, helper=ours.path):
            assert mounts_at(strange)

    tell(story)


def test_options_can_be_one_text(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    That is how they come from a command line.
    """

    def story() -> None:
        with mount_hello(mountpoint, r"ro,fsname=a\,b", helper=ours.path):
            assert b"a,b" == mount_at(mountpoint).source

    tell(story)


def test_a_refusal_has_the_helpers_sentence(tell: Tell, helper: Program, mountpoint: Path) -> None:
    """
    "Operation not permitted" does not say what an administrator could change.
    """

    def story() -> None:
        with pytest.raises(client.MountRefused) as caught:
            client.prepare(mountpoint, ["allow_other"], helper=helper.path)
        sentence = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
        assert sentence == caught.value.message
        assert errno.EPERM == caught.value.errno

    tell(story)


def test_a_missing_mountpoint_has_its_errno(tell: Tell, helper: Program, home: Path) -> None:
    """
    Authors catch FileNotFoundError's errno, not sentences; the C helper has sentences only.
    """

    def story() -> None:
        with pytest.raises(client.MountError, match="No such file or directory") as caught:
            client.prepare(home / "missing", helper=helper.path)
        assert errno.ENOENT == caught.value.errno

    tell(story)


def test_the_kernels_own_line_reaches_the_author(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    Only the kernel knows which of twenty options it did not like.
    """

    def story() -> None:
        with pytest.raises(client.MountError) as caught:
            client.prepare(mountpoint, ["max_read=abc"], helper=ours.path)
        assert (errno.EINVAL, "configure") == (caught.value.errno, caught.value.step)
        assert any("max_read" in line for line in caught.value.kernel)
        assert "max_read" in str(caught.value)

    tell(story)


@pytest.mark.parametrize("nonsense", ["", "\0", "a\0b"])
def test_a_path_that_is_none_is_a_mount_error(tell: Tell, ours: Program, nonsense: str) -> None:
    """
    An empty setting must not mount over the current directory.
    """

    def story() -> None:
        with pytest.raises(client.MountError):
            client.prepare(nonsense, helper=ours.path)

    tell(story)


def test_the_guard_lives_as_long_as_its_mount(tell: Tell, ours: Program, mountpoint: Path) -> None:
    """
    It is there for the author's death, and must not stay for anything else.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, auto_unmount=True, helper=ours.path)
        assert 1 == len(children())
        mounted.unmount()
        assert [] == children()

    tell(story)


def test_auto_unmount_among_the_options_is_the_same(
    tell: Tell, helper: Program, mountpoint: Path
) -> None:
    """
    Options come from /etc/fstab and command lines, where that is how it is written.
    """

    def story() -> None:
        mounted = mount_hello(mountpoint, ["auto_unmount,ro"], helper=helper.path)
        assert 1 == len(children())
        mounted.unmount()
        assert [] == children()

    tell(story)


def test_an_author_who_ignores_sigchld_can_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    Then the kernel reaps the helper, and its exit status is nobody's.
    """

    def story() -> None:
        default = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        mount_hello(mountpoint, helper=ours.path).unmount()
        with pytest.raises(client.MountRefused):
            client.prepare(mountpoint, ["allow_other"], helper=ours.path)
        with pytest.raises(client.MountRefused):
            client.unmount(mountpoint, helper=ours.path)
        signal.signal(signal.SIGCHLD, default)

    tell(story)


def test_an_author_who_reaps_every_child_can_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    Process supervisors wait for any child, and may take the helper's status.
    """
    ended = False

    def reap() -> None:
        while not ended:
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED)
            except ChildProcessError:
                continue

    def story() -> None:
        nonlocal ended
        reaper = Thread(target=reap)
        reaper.start()
        try:
            for _ in range(5):
                mount_hello(mountpoint, helper=ours.path).unmount()
        finally:
            ended = True
        reaper.join()

    tell(story)


def test_an_author_without_standard_descriptors_can_mount(
    tell: Tell, ours: Program, mountpoint: Path
) -> None:
    """
    The next sockets get the numbers 0 to 2, where the helper's own are going to be.
    """

    def story() -> None:
        kept = [os.dup(number) for number in (0, 1, 2)]
        for number in (0, 1, 2):
            os.close(number)
        mounted = mount_hello(mountpoint, helper=ours.path)
        taken = [number for number in (0, 1, 2) if os.path.exists(f"/proc/self/fd/{number}")]
        mounted.unmount()
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
        assert [] == taken

    tell(story)


def test_errors_travel_between_processes(tell: Tell) -> None:
    """
    Multiprocessing pickles what a worker raises.
    """
    error = client.MountRefused(errno.EPERM, "no", step="options", kernel=["fuse: no"])

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # we wrote it

    assert client.MountRefused is type(copy)
    assert vars(error) == vars(copy)
    assert (errno.EPERM, "no [fuse: no]") == (copy.errno, str(copy))


def test_importing_the_client_costs_little() -> None:
    """
    Every command line tool that can mount pays for this import, mostly in vain.
    """
    code = (
        "import sys; before = set(sys.modules); import fusermount_py.client;"
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    result = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    expensive = {"asyncio", "contextlib", "ctypes", "dataclasses", "enum", "inspect", "json"}
    expensive |= {"pathlib", "re", "selectors", "signal", "socket", "subprocess", "typing"}
    assert set() == expensive & set(result.stdout.split())
    assert "threading" in result.stdout.split()
