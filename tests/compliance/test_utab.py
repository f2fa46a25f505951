"""
util-linux's table of options the kernel does not keep: contract, section 10.

Ours alone: Debian's 3.14.0 knows no `x-` options (`unknown option 'x-gvfs-hide'`), later ones do.
"""

import errno
import fcntl
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from fusermount_py.helper import scribe
from fusermount_py.helper.kernel import mount_identity
from fusermount_py.helper.kernel.constants import SYS_STATMOUNT
from support import kernel
from support.essential import essential_skip
from support.flows import until
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.refuse_ioctl import answer_call
from support.users import ROOT, User

TABLE = Path("/run/mount/utab")


def record(mountpoint: Path, options: str, source: str = "demo") -> str:
    return f"SRC={source} TARGET={mountpoint} ROOT=/ OPTS={options}\n"


@pytest.mark.parametrize("options", [(), ("-z",)], ids=["plain", "lazy"])
@pytest.mark.parametrize("as_root", [False, True], ids=["caller", "root"])
def test_x_options_are_recorded_and_erased_with_the_mount(
    ours: Program, caller: User, mountpoint: Path, utab: Path, options: tuple[str], as_root: bool
) -> None:
    """
    File managers hide what says x-gvfs-hide; a line that stayed would hide the next mount there.
    """
    user = ROOT if as_root else caller

    mounted = ours.mount(mountpoint, "x-gvfs-hide,ro,x-foo=b c,fsname=demo", user=user)
    recorded = utab.read_text()
    unmounted = ours.unmount(mountpoint, *options, user=user)

    assert (0, b"", b"") == mounted[:3]
    assert record(mountpoint, r"x-gvfs-hide,x-foo=b\040c") == recorded
    assert (0, b"", b"") == unmounted[:3]
    assert "" == utab.read_text()


def test_a_record_is_erased_when_the_guard_takes_the_mount(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    A server that crashes is when auto_unmount is for, and nobody else comes to tidy up.
    """
    running = ours.start("-o", "auto_unmount,x-demo,fsname=demo", "--", mountpoint, user=caller)
    running.receive_device().close()
    while not utab.read_text():
        assert running.process.poll() is None

    running.comm.close()
    running.wait()
    while mounts_at(mountpoint) or utab.read_text():
        os.sched_yield()  # bounded by the test's own time limit

    assert "" == utab.read_text()


def test_without_a_table_none_is_made(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Where util-linux keeps no table, nobody would read ours.
    """
    utab.unlink()

    assert (0, b"", b"") == ours.mount(mountpoint, "x-gvfs-hide", user=caller)[:3]
    assert [] == os.listdir(TABLE.parent)


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        ("x-mount.mkdir=0777,x-demo", "x-demo"),
        ("x-mount.mkdir", None),
        ('x-a=",x-b', "x-b"),
        ("x-demo,fsname=LABEL=demo", None),
        (f"x-demo={'x' * 4096}", None),
        ("ro,default_permissions", None),
    ],
)
def test_nothing_is_recorded_that_root_would_act_on(
    ours: Program,
    caller: User,
    mountpoint: Path,
    utab: Path,
    options: str,
    recorded: str | None,
) -> None:
    """
    mount(8) as root makes directories for x-mount.mkdir, searches the disks for a label, and
    reads quotes as it likes; and the table lies in memory that is not the caller's to fill.
    """
    assert (0, b"", b"") == ours.mount(mountpoint, f"fsname=demo,{options}", user=caller)[:3]

    assert (record(mountpoint, recorded) if recorded else "") == utab.read_text()


def test_a_source_is_never_an_option_of_mount(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The caller chooses the source, and root runs mount(8) with it.
    """
    ours.mount(mountpoint, "fsname=--bind,x-demo", user=caller)

    assert record(mountpoint, "x-demo", source="--bind") == utab.read_text()


@pytest.mark.parametrize("source", ["-oro", "--bind", "--", "-"])
@pytest.mark.parametrize("name", ["-evil", "-oro", "--", "-"])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_neither_source_nor_mountpoint_is_read_as_an_option(
    ours: Program, user: User, caller: User, home: Path, utab: Path,
    source: str, name: str, absolute: bool,
) -> None:  # fmt: skip
    """
    Both are anybody's to choose, and pass through two more programs as root. (3.19 has no record
    where the source begins with a dash; here it stands behind mount(8)'s own two.)
    """
    place = home / name
    place.mkdir()
    os.chown(place, caller.uid, caller.gid)
    options = ("-o", f"fsname={source},x-demo")

    running = ours.start(*options, "--", place if absolute else name, user=user, cwd=home)
    device = running.receive_device()
    assert (0, b"", b"") == running.wait()[:3]
    recorded = utab.read_text()
    entry = mount_at(place)
    unmounted = ours.run("-u", "--", place if absolute else name, user=user, comm=None, cwd=home)

    assert not device.closed
    assert (source.encode(), False) == (entry.source, "ro" in entry.attributes)
    assert record(place, "x-demo", source=source) == recorded
    assert (0, b"", b"") == unmounted[:3]
    assert ("", []) == (utab.read_text(), mounts_at(place))


@pytest.mark.parametrize(
    "line",
    [
        "SRC=/dev/sdz1 TARGET={} ROOT=/ OPTS=x-gvfs-show\n",
        "SRC=demo TARGET={} ROOT=/ ATTRS=none OPTS=uhelper=udisks2\n",
        "SRC=demo TARGET=/elsewhere ROOT=/ OPTS=x-demo\n",
    ],
    ids=["another source", "more than x-", "another place"],
)
def test_another_mounts_record_stays(
    ours: Program, caller: User, mountpoint: Path, utab: Path, line: str
) -> None:
    """
    umount(8) goes by the path alone: a FUSE mount stacked on a disk and taken away again would
    take the disk's record along.
    """
    utab.write_text(line.format(mountpoint))
    ours.mount(mountpoint, "fsname=demo", user=caller)

    assert (0, b"", b"") == ours.unmount(mountpoint, user=caller)[:3]
    assert line.format(mountpoint) == utab.read_text()


def test_a_mount_that_is_stacked_leaves_the_lower_ones_record(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Both have the same source and the same path; the lower mount still is what its record says.
    """
    lower = ours.mount(mountpoint, "fsname=demo,x-lower", user=ROOT).device
    assert lower is not None
    ours.serve(lower)
    utab_of_lower = utab.read_text()
    ours.mount(mountpoint, "fsname=demo", user=ROOT)

    ours.unmount(mountpoint, "-z", user=ROOT)

    assert 1 == len(mounts_at(mountpoint))
    assert utab_of_lower == utab.read_text()


def unique_id_at(mountpoint: Path, user: User) -> int:
    """As util-linux 2.42 writes it into the table."""

    def look() -> int:
        mount = os.open(mountpoint, os.O_PATH)
        return mount_identity.identity(mount)

    number = user.call(look)
    if number < 1 << 31:
        essential_skip("needs Linux 6.8, which has unique mount ids")
    return number


@pytest.mark.parametrize("options", [(), ("-z",)], ids=["plain", "lazy"])
@pytest.mark.parametrize("fault", [None, errno.ENOENT, errno.EPERM, errno.ENOSYS])
@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_a_record_with_the_kernels_id_is_the_mounts_that_has_it(
    ours: Program,
    caller: User,
    mountpoint: Path,
    utab: Path,
    whose: str,
    fault: int | None,
    options: tuple[str],
) -> None:
    """
    A mount of another namespace may have the same source and path, and the table is one for all;
    where the kernel cannot tell (ENOSYS), names must do.
    """
    ours.mount(mountpoint, "fsname=demo", user=caller)
    unique_id = unique_id_at(mountpoint if whose == "its own" else mountpoint.parent, caller)
    line = f"UNIQID={unique_id} {record(mountpoint, 'x-demo')}"
    utab.write_text(line)

    def unmount() -> tuple[int, bytes]:
        if fault is not None:
            answer_call(SYS_STATMOUNT, fault)
        result = ours.unmount(mountpoint, *options, user=caller)
        return result.exit_status, result.stderr

    assert (0, b"") == ROOT.call(unmount)
    is_erased = fault == errno.ENOSYS or (fault is None and whose == "its own")
    until(lambda: utab.read_text() == ("" if is_erased else line), "the scribe is done")


def test_a_record_with_the_kernels_id_goes_though_a_lower_mount_looks_the_same(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    By names alone the lower mount would keep the upper one's line, and be hidden by it.
    """
    lower = ours.mount(mountpoint, "fsname=demo", user=caller).device
    assert lower is not None
    ours.serve(lower)
    ours.mount(mountpoint, "fsname=demo", user=caller)
    unique_id = unique_id_at(mountpoint, caller)
    utab.write_text(f"UNIQID={unique_id} {record(mountpoint, 'x-demo')}")

    assert (0, b"", b"") == ours.unmount(mountpoint, "-z", user=caller)[:3]
    assert 1 == len(mounts_at(mountpoint))
    until(lambda: not utab.read_text(), "the scribe is done")


def test_a_record_with_the_kernels_id_stays_where_the_unmount_fails(
    ours: Program, mountpoint: Path, utab: Path
) -> None:
    """
    The mount is still what its line says.
    """
    device = ours.mount(mountpoint, "fsname=demo", user=ROOT).device
    assert device is not None
    ours.serve(device)
    line = f"UNIQID={unique_id_at(mountpoint, ROOT)} {record(mountpoint, 'x-demo')}"
    utab.write_text(line)
    kernel.mount("tmpfs", mountpoint / "inside", "tmpfs")

    result = ours.unmount(mountpoint, user=ROOT)
    kernel.umount(mountpoint / "inside")

    assert (1, line) == (result.exit_status, utab.read_text())


def test_a_mount_that_is_refused_or_taken_back_has_no_record(
    ours: Program, caller: User, another_user: User, mountpoint: Path, utab: Path
) -> None:
    """
    A record without its mount speaks of whatever is mounted there next.
    """
    refused = ours.mount(mountpoint, "x-demo", user=another_user)
    running = ours.start_sync_init(mountpoint, "x-demo", user=caller)
    running.receive_device().close()
    running.comm.close()
    given_up = running.wait()

    assert (1, 1) == (refused.exit_status, given_up.exit_status)
    assert "" == utab.read_text()


def ignore_sigchld() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def allow_no_bytes_in_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_an_ignored_sigchld_costs_no_record(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The C helper dies of it here, and leaves a dead mount.
    """
    result = ours.mount(mountpoint, "fsname=demo,x-demo", user=caller, preexec_fn=ignore_sigchld)

    assert (0, b"", b"") == result[:3]
    assert record(mountpoint, "x-demo") == utab.read_text()


def test_the_callers_file_size_limit_does_not_cut_the_table(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The scribe lifts it; where even root may not (no CAP_SYS_RESOURCE), it leaves the table alone.
    """
    others = record(Path("/elsewhere"), "x-other")
    utab.write_text(others)

    result = ours.mount(
        mountpoint, "fsname=demo,x-demo", user=caller, preexec_fn=allow_no_bytes_in_files
    )

    assert (0, b"", b"") == result[:3]
    assert others in utab.read_text()
    assert utab.read_text().removeprefix(others) in ("", record(mountpoint, "x-demo"))


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def test_who_holds_the_tables_lock_keeps_a_record_back_and_no_more(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Everybody may open and lock the file; so nobody waits for the mount(8) that waits for it as
    root, which has none of root's capabilities, and is killed when its time is over.
    """
    with (TABLE.parent / "utab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = ours.start("-o", "x-demo", "--", mountpoint, user=caller)
        running.receive_device()
        writers: list[int] = []
        while not writers:
            writers = [
                child
                for our_scribe in children_of(running.process.pid)
                for child in children_of(our_scribe)
                if b"--fake" in Path(f"/proc/{child}/cmdline").read_bytes()
            ]
        status = Path(f"/proc/{writers[0]}/status").read_text(encoding="ascii")

        assert (0, b"", b"") == running.wait()[:3]
        assert Path(f"/proc/{writers[0]}").exists(), "the helper has waited for it"
        until(lambda: not Path(f"/proc/{writers[0]}").exists(), "mount(8) is killed")

    assert "Uid:\t0\t0\t0\t0\n" in status
    assert f"CapPrm:\t{0:016x}\nCapEff:\t{0:016x}\n" in status
    assert "fuse" == mount_at(mountpoint).fstype
    assert "" == utab.read_text()


def test_who_holds_the_tables_lock_keeps_no_unmount_waiting(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    The same the other way round: another user's record that is not erased is all that is lost.
    """
    ours.mount(mountpoint, "fsname=demo,x-demo", user=caller)
    with (TABLE.parent / "utab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert (0, b"", b"") == ours.unmount(mountpoint, user=caller)[:3]
        waiting = [
            child
            for child in children_of(os.getpid())
            for its in children_of(child)
            if b"--fake" in Path(f"/proc/{its}/cmdline").read_bytes()
        ]

        assert 1 == len(waiting), "the helper has waited for it"
        until(lambda: not children_of(waiting[0]), "umount(8) is killed")


def test_a_full_table_gets_no_more_records(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Who holds the lock while mounts go leaves their records; it lies in memory that is counted to
    nobody.
    """
    text = record(Path("/elsewhere"), "x-" + "o" * 4000) * 1100
    utab.write_text(text)

    result = ours.mount(mountpoint, "fsname=demo,x-demo", user=caller)

    assert (0, b"", b"") == result[:3]
    assert text == utab.read_text()


def ask_the_scribe_as(caller: User, question: str) -> None:
    """What a seized helper could do: a scribe forked for this caller, and any words for it."""
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(caller.uid, 0, 0)
            asked = scribe.start()
            assert asked is not None
            asked._ask(question)  # noqa: SLF001  # a seized helper respects no underscore
            asked.finish()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        (lambda mine, _: f"{mine} x-demo", "x-demo"),
        (lambda mine, _: f"{mine} x-demo,uhelper=udisks2,user=root,x-mount.mkdir", "x-demo"),
        (lambda _, theirs: f"{theirs} x-demo", None),
        (lambda _, theirs: f"{theirs} ", None),
        (lambda mine, _: f"-{mine} x-demo", None),
        (lambda *_: "nonsense", None),
        (lambda *_: "x" * 100_000, None),
    ],
    ids=["mine", "more", "another's", "another's erased", "negative", "nonsense", "long"],
)
def test_the_scribe_takes_nobodys_word_for_whose_mount_it_is(
    ours: Program,
    caller: User,
    mountpoint: Path,
    home: Path,
    utab: Path,
    words: Callable[[int, int], str],
    recorded: str | None,
) -> None:
    """
    It is the one process of root's beside the helper: what seizes that one must not gain this one.
    """
    roots = home / "root"
    roots.mkdir()
    ours.mount(roots, "fsname=root,x-root", user=ROOT)
    before = utab.read_text()
    ours.mount(mountpoint, "fsname=demo", user=caller)
    mine, theirs = mount_at(mountpoint).mount_id, mount_at(roots).mount_id

    ask_the_scribe_as(caller, words(mine, theirs))

    assert before + (record(mountpoint, recorded) if recorded else "") == utab.read_text()
