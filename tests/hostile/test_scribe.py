"""The one process that is root's beside a waiting user: it has root's ids, and nothing else."""

import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from fusermount_py.helper import scribe
from support.flows import until
from support.mount_table import mount_at
from support.program import Program
from support.users import User


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return {name: value.strip() for name, _, value in (x.partition(":") for x in text.splitlines())}


def writers(mountpoint: Path) -> Iterator[int]:
    """The mount(8) that records this mountpoint, in this mount namespace."""
    ours = os.readlink("/proc/self/ns/mnt")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            is_ours = os.readlink(process / "ns" / "mnt") == ours
        except OSError:
            continue  # it has ended
        if is_ours and b"--fake" in words and os.fsencode(mountpoint) in words:
            yield int(process.name)


def test_what_writes_as_root_has_nothing_of_the_callers(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    Half the caller's it could be signalled and traced; with a capability it would be worth it.
    """
    with (utab.parent / "utab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = ours.start(
            "-o", "x-demo", "--", mountpoint,
            user=caller._replace(groups=(61500,)), environment={"_FUSE_REPORT": "1"},
        )  # fmt: skip
        running.receive_device()
        until(lambda: list(writers(mountpoint)), "mount(8) waits for the table's lock")
        (writer,) = writers(mountpoint)
        statuses = [status_of(writer), status_of(int(status_of(writer)["PPid"]))]
        environment = Path(f"/proc/{writer}/environ").read_bytes()
    running.wait()

    for status in statuses:
        assert ["0"] * 4 == status["Uid"].split()
        assert ["0"] * 4 == status["Gid"].split()
        assert "" == status["Groups"]
        assert {0} == {int(status[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Amb")}
    assert b"" == environment


def test_the_callers_limits_are_not_the_scribes(
    ours: Program, caller: User, mountpoint: Path, utab: Path
) -> None:
    """
    CVE-2011-1089 and its kin: a file size limit of the caller's cuts root's table in half.
    """
    ours.mount(mountpoint, "fsname=demo", user=caller)
    mount = os.open(mountpoint, os.O_PATH)
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            os.setresuid(caller.uid, 0, 0)
            asked = scribe.start()
            assert asked is not None
            asked.record(mount, ["x-demo"])
            asked.finish()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(mount)

    assert f"SRC=demo TARGET={mountpoint} ROOT=/ OPTS=x-demo\n" == utab.read_text()
    assert mount_at(mountpoint)
