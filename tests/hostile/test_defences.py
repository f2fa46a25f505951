"""
Known attacks, each on ours and on a copy that lacks the one defence: there, the attack wins.

What only ours is asked, at more length, stands in tests/kernel and tests/compliance.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kernel
from support.faults import Traced
from support.flows import until
from support.held import Held
from support.mount_table import mount_at, mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change, Target, against

HELPER = "fusermount_py/helper"


@against(
    Change(
        f"{HELPER}/permission.py",
        "mount.owner != caller.uid",
        "not str(caller.uid).startswith(str(mount.owner))",
    )
)
@pytest.mark.parametrize(("owner", "stranger"), [(100, 1000), (1000, 10001), (1000, 100010)])
def test_a_user_is_the_whole_number(
    ours: Program, target: Target, home: Path, owner: int, stranger: int
) -> None:
    """
    CVE-2021-3995: user 1000's mount was taken for user 10001's, too.
    """
    place = home / "place"
    place.mkdir()
    os.chown(place, owner, owner)
    ours.mount(place, user=User(owner, owner))

    target.program.unmount(place, user=User(stranger, stranger))

    assert len(mounts_at(place)) == (not target.is_weak)


@against(Change(f"{HELPER}/permission.py", "if filesystem_type not in FILESYSTEM_TYPES:", "if 0:"))
def test_nothing_is_mounted_over_proc(target: Target, caller: User) -> None:
    """
    CVE-2016-1572: who stands where /proc/PID/... should be is believed by other programs.
    """
    sleeper = subprocess.Popen(["sleep", "60"], user=caller.uid, group=caller.gid, extra_groups=())
    while Path(f"/proc/{sleeper.pid}/comm").read_text(encoding="ascii") != "sleep\n":
        pass
    place = Path(f"/proc/{sleeper.pid}/comm")

    result = target.program.mount(place, user=caller)
    covered = mounts_at(place)
    for _ in covered:
        kernel.umount(place)
    sleeper.kill()
    sleeper.wait()

    assert len(covered) == target.is_weak
    if not target.is_weak:
        assert b"mounting over filesystem type 0x00009fa0 is forbidden" in result.stderr


@against(
    Change(f"{HELPER}/options.py", "(0,              MS_NODEV,       False)", "(0, MS_NODEV, True)")
)
@pytest.mark.parametrize("options", ["dev", "nodev,dev", "dev,nodev,dev", r"fsname=a\\,dev"])
def test_an_ordinary_callers_mount_has_no_devices(
    target: Target, caller: User, mountpoint: Path, options: str
) -> None:
    """
    Libfuse #1566: "dev" counted as safe. A device of one's own making is the disk's content.
    """
    target.program.mount(mountpoint, options, user=caller)

    assert ("nodev" in mount_at(mountpoint).attributes) != target.is_weak


@against(
    Change(
        f"{HELPER}/kernel/fs_context.py",
        "FSMOUNT_CLOEXEC, self._attributes)",
        "FSMOUNT_CLOEXEC, 0)",
    ),
    Change(
        f"{HELPER}/kernel/fs_context.py",
        "        return mount\n",
        "        remount = 0x1000 | 0x20 | MS_NOSUID | MS_NODEV\n"
        '        syscalls.mount(b"", f"/proc/self/fd/{mount}".encode(), b"", remount, b"")\n'
        "        return mount\n",
    ),
)
def test_not_for_an_instant_is_a_mount_without_nosuid_and_nodev(
    target: Target, held: Callable[..., Held], caller: User, mountpoint: Path
) -> None:
    """
    CVE-2026-53612 and its family, CVE-2025-6019: what is tightened after it was attached has been
    open before, and another process is fast enough to run a setuid file in between.
    """
    running = held(target.program, "move_mount", after=True).start("--", mountpoint, user=caller)
    until(lambda: mounts_at(mountpoint), "the mount is attached")

    attributes = mount_at(mountpoint).attributes

    assert ({"nosuid", "nodev"} <= attributes) != target.is_weak
    assert 0 == running.wait().exit_status


@against(
    Change(
        f"{HELPER}/main.py",
        "        caller = privilege.become_caller()\n",
        "        arguments and '/home-' in arguments[-1] and posix.stat(arguments[-1])\n"
        "        caller = privilege.become_caller()\n",
    )
)
@pytest.mark.parametrize("words", [("--",), ("-u", "--"), ("--auto-unmount", "--")])
def test_an_error_tells_nothing_of_what_the_caller_cannot_see(
    target: Target, caller: User, home: Path, words: tuple[str, ...]
) -> None:
    """
    CVE-2013-0157: "not found" and "permission denied" are an answer about another's files.
    """
    closed = home / "closed"
    closed.mkdir()
    (closed / "there").touch()
    closed.chmod(0o700)

    answers = [
        target.program.run(*words, closed / name, user=caller).stderr.replace(name.encode(), b"X")
        for name in ("there", "gone")
    ]

    assert (answers[0] != answers[1]) == target.is_weak


LOADS_OWN = ("encodings/__init__.py", "os.py", "posix.py", "prctl.py", "sitecustomize.py")


@against(
    Change("packaging/launcher/launcher.c", "execve(PYTHON, command, kept)",
           "execve(PYTHON, command, environ)"),
    Change("packaging/launcher/launcher.c", '{ PYTHON, "-I", "-S",', '{ PYTHON, "-S", "-S",'),
)  # fmt: skip
def test_nothing_of_the_callers_is_imported(
    target: Target, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    CVE-2015-3202, CVE-2024-48990: root runs what the environment, or the current directory, names.
    """
    proof = home / "proof"
    home.chmod(0o777)
    for name in LOADS_OWN:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(f"import posix; posix.open({str(proof)!r}, posix.O_CREAT)")
    (home / "pyvenv.cfg").write_text(f"home = {home}\n", encoding="utf-8")
    environment = dict.fromkeys(
        ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPLATLIBDIR", "GCONV_PATH", "HOME",
         "LIBMOUNT_MTAB", "LIBMOUNT_UTAB", "LOCPATH", "TMPDIR", "PATH"), str(home)
    ) | {
        "LD_PRELOAD": str(home / "own.so"), "LD_LIBRARY_PATH": str(home), "LD_AUDIT": str(home),
        "LD_DEBUG_OUTPUT": str(proof), "LD_DEBUG": "all", "MALLOC_TRACE": str(proof),
        "PYTHONSTARTUP": str(home / "os.py"), "PYTHONINSPECT": "1", "PYTHONDUMPREFS": "1",
        "PYTHONPYCACHEPREFIX": str(home), "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "own", "LC_ALL": "../../../own", "LANG": "own", "LIBMOUNT_DEBUG": "all",
        "GLIBC_TUNABLES": "glibc.malloc.check=3",
    }  # fmt: skip
    if target.is_weak:
        environment = {"PYTHONPATH": str(home)}  # one is enough; some others only confuse it

    result = target.program.start(
        "--", mountpoint, user=caller, cwd=home, environment=environment,
        argv0=home / "python3",
    ).wait()  # fmt: skip

    assert proof.exists() == target.is_weak, result.stderr
    assert (result.exit_status == 0) != target.is_weak


@against(
    Change(
        f"{HELPER}/main.py",
        "        caller = privilege.become_caller()\n",
        "        caller = privilege.become_caller()\n"
        "        __import__('pwd').getpwuid(caller.uid)\n",
    )
)
def test_no_name_service_is_asked(target: Target, caller: User, mountpoint: Path) -> None:
    """
    CVE-2025-32463: nsswitch.conf names libraries, and they run as whoever asks for a name.
    """
    traced = Traced(target.program, caller)

    traced.start("-o", "fsname=demo", "--", mountpoint).wait()
    log = traced.log.read_text(encoding="utf-8", errors="replace")
    traced.strace.clean_up()
    traced.log.unlink()

    assert ("nsswitch.conf" in log or "/etc/passwd" in log) == target.is_weak


@against(
    Change(f"{HELPER}/permission.py", "mount is None or mount.owner != caller.uid", "False"),
    Change(
        f"{HELPER}/permission.py",
        "mount is None or mount.mountpoint != path or not mount.is_fuse",
        "False",
    ),
)
def test_what_root_stacked_on_ones_own_mount_stays(
    ours: Program, target: Target, caller: User, mountpoint: Path
) -> None:
    """
    The C helper looks for a line of the caller's in the table, and then takes what is on top.
    """
    ours.mount(mountpoint, user=caller)
    kernel.mount("tmpfs", mountpoint, "tmpfs")

    target.program.unmount(mountpoint, user=caller)

    assert ("tmpfs" in {entry.fstype for entry in mounts_at(mountpoint)}) != target.is_weak
