"""
Whatever stands at descriptors 0 to 1023 when the helper starts is the caller's choice.

A closed fd 2 once let the next file opened, /etc/mtab, take the error messages of a setuid program.
"""

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.mount_table import mount_at, mounts_at
from support.program import PATIENCE, Program
from support.users import User
from support.weakened import Change, Target, against

STRANGE: dict[str, Callable[[], int]] = {
    "a directory": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "a name without a file": lambda: os.open("/etc/passwd", os.O_PATH),
    "an eventfd": lambda: os.eventfd(0, os.EFD_CLOEXEC),
    "memory": lambda: os.memfd_create("memory"),
    "a full disk": lambda: os.open("/dev/full", os.O_RDWR),
    "a process": lambda: os.pidfd_open(os.getpid()),
    "a namespace": lambda: os.open("/proc/self/ns/mnt", os.O_RDONLY),
    "the wrong direction": lambda: os.open("/dev/null", os.O_RDONLY),
    "a unix socket": lambda: socket.socket(socket.AF_UNIX).detach(),
}


@pytest.fixture(params=STRANGE)
def strange(request: pytest.FixtureRequest) -> Iterator[int]:
    descriptor = STRANGE[request.param]()
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("number", ["stdin", "stdout", "stderr"])
def test_a_strange_standard_descriptor_does_not_change_the_outcome(
    ours: Program, caller: User, mountpoint: Path, strange: int, number: str
) -> None:
    """
    Python refuses to start on a directory, in its own words and with its own exit status.
    """
    stream: dict[str, Any] = {number: strange}

    running = ours.start("-o", "fsname=demo", "--", mountpoint, user=caller, **stream)

    assert 0 == running.wait().exit_status
    assert b"demo" == mount_at(mountpoint).source


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
def test_closed_standard_descriptors_do_not_change_the_outcome(
    ours: Program, caller: User, mountpoint: Path, closed: tuple[int, ...]
) -> None:
    """
    Else the device, or the mountpoint, would become the place where messages go.
    """

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    refused = ours.mount(mountpoint, "bogus", user=caller, preexec_fn=close)
    mounted = ours.mount(mountpoint, "fsname=demo", user=caller, preexec_fn=close)

    assert (0, 1) == (mounted.exit_status, refused.exit_status)
    assert b"demo" == mount_at(mountpoint).source


def test_without_the_launchers_care_a_directory_kills_the_interpreter(
    weakened: Callable[..., Program], caller: User
) -> None:
    """
    Shows that the tests above test something.
    """
    careless = weakened(
        Change("packaging/launcher/descriptors.h", "< 0 && errno == ENOTDIR", "<= 0")
    )
    directory = os.open("/", os.O_RDONLY)

    result = careless.run("--wrong", user=caller, stdin=directory)
    os.close(directory)

    assert b"Fatal Python error" in result.stderr


def test_only_the_comm_socket_reaches_the_helper(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A descriptor of the caller's could stand where the helper expects one of its own, and a secret
    of another program, leaked into the caller, would go on leaking.
    """
    secrets = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(40)]
    os.dup2(secrets[0], 1023)

    running = ours.start_sync_init(
        mountpoint, user=caller, comm_fd=900, pass_fds=[*secrets, 1023, 900]
    )
    running.receive_device()
    below = f"/proc/{running.process.pid}/fd"
    targets = [os.readlink(f"{below}/{number}") for number in os.listdir(below)]
    for secret in (*secrets, 1023):
        os.close(secret)

    assert [] == [target for target in targets if "passwd" in target]


@pytest.mark.parametrize(
    "number",
    ["-1", "2147483648", "9" * 20, "9" * 5000, "0", "", " 3", "0x3", "3x", "+3", "1023"],
)
def test_a_number_that_is_no_comm_socket_is_refused(
    ours: Program, caller: User, mountpoint: Path, number: str
) -> None:
    """
    CVE-2021-4034 began with a count that nobody had thought possible.
    """
    result = ours.run(
        "--", mountpoint, user=caller, comm=None,
        environment={"_FUSE_COMMFD": number, "_FUSE_REPORT": "1"},
    )  # fmt: skip

    assert 1 == result.exit_status
    assert 1 == result.stderr.count(b"\n")
    assert [] == mounts_at(mountpoint)


@pytest.mark.parametrize(
    "make",
    [
        lambda: os.open("/etc/passwd", os.O_RDONLY),
        lambda: os.open("/", os.O_RDONLY),
        lambda: socket.socket(socket.AF_INET).detach(),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach(),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(),
        lambda: os.memfd_create("comm"),
    ],
    ids=["file", "directory", "internet", "unconnected", "datagram", "memory"],
)
def test_a_comm_socket_of_another_kind_is_refused(
    ours: Program, caller: User, mountpoint: Path, make: Callable[[], int]
) -> None:
    """
    Over the Internet no descriptor can be passed; into a file one must not write.
    """
    descriptor = make()

    result = ours.run(
        "--comm-fd", str(descriptor), "--", mountpoint,
        user=caller, comm=None, pass_fds=[descriptor],
    )  # fmt: skip
    os.close(descriptor)

    assert 1 == result.exit_status
    assert b"is not a connected Unix socket" in result.stderr
    assert [] == mounts_at(mountpoint)


WRITES_AS_ROOT = (
    Change(
        "packaging/launcher/launcher.c",
        "setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0",
        "uid == (uid_t)-1 || gid == (gid_t)-1",
    ),
    Change(
        "fusermount_py/helper/main.py",
        "if self._caller is None and not privilege.leave_root():",
        "if False:",
    ),
    Change("packaging/launcher/answers.c", "if (leave_root() == 0) {", "if (argv[0]) {"),
    Change("packaging/launcher/answers.c", "static int leave_root(void)", "int leave_root(void)"),
)
# Each lets the program fail before it has become its caller.
TOO_MANY = 50  # words of 100,000 bytes: too much for the second exec, whose limit is smaller
NO_DROP = Change(
    "fusermount_py/helper/main.py",
    "        self._scribe = _start_scribe(arguments)\n",
    "        1 // (not self._argv0.startswith('-5'))\n"
    "        self._scribe = _start_scribe(arguments)\n",
)
AUTOGROUP = "/proc/{}/autogroup"
WRITE_TO_ANOTHERS_FILE = """
import os, resource, sys
helper, victim, argv0, count = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY,) * 2)
os.dup2(os.dup2(os.open(victim, os.O_WRONLY), 2), 1)
os.execv(helper, [argv0] + (["x" * 100_000] * int(count) if count != "help" else ["--help"]))
"""


@pytest.mark.skipif(not Path(AUTOGROUP.format("self")).exists(), reason="needs autogroups")
@pytest.mark.parametrize("fails", ["exec", "drop", "nothing"])
@pytest.mark.parametrize("is_weak", [False, True], ids=["ours", "weakened"])
def test_nothing_of_the_callers_is_written_as_root(
    ours: Program, weakened: Callable[..., Program], caller: User, *, fails: str, is_weak: bool
) -> None:
    """
    The first words of a message, and of help, are argv[0], and fd 1 or 2 may be a file of /proc
    that does what root writes there: oom_score_adj, or the nice value of a whole session.
    """
    changes = (WRITES_AS_ROOT if is_weak else ()) + ((NO_DROP,) if fails == "drop" else ())
    program = weakened(*changes) if changes else ours
    session: dict[str, Any] = {
        "user": caller.uid, "group": caller.gid, "extra_groups": (), "start_new_session": True
    }  # fmt: skip
    victim = subprocess.Popen(["sleep", "60"], **session)
    file = Path(AUTOGROUP.format(victim.pid))
    words = [
        "-5          ",
        {"exec": str(TOO_MANY), "drop": "0", "nothing": "help"}[fails],
    ]  # 12 bytes are read

    attack = ["/usr/bin/python3", "-IS", "-c", WRITE_TO_ANOTHERS_FILE, program.path, str(file)]
    try:
        attacked = subprocess.run([*attack, *words], **session, check=False, timeout=PATIENCE)
        written = file.read_text(encoding="ascii")
    finally:
        victim.kill()
        victim.wait()

    assert 1 == attacked.returncode
    assert written.endswith("nice -5\n") == is_weak, written


@against(
    Change(
        "packaging/launcher/descriptors.h",
        'faccessat(fd, ".", F_OK, 0) < 0 && errno == ENOTDIR',
        "fstat(fd, &(struct stat){ 0 }) == 0",
    ),
    Change(
        "packaging/launcher/descriptors.h",
        "#include <unistd.h>",
        "#include <sys/stat.h>\n#include <unistd.h>",
    ),
)
def test_messages_reach_a_file_on_the_callers_own_file_system(
    ours: Program, target: Target, caller: User, home: Path, mountpoint: Path
) -> None:
    """
    Such a file tells root nothing of itself; the log of a failed mount may well lie there.
    """
    log = home / "log"
    log.touch()
    os.chown(log, caller.uid, caller.gid)
    device = ours.mount(log, user=caller).device
    assert device is not None
    reader, writer = os.pipe()
    ours.serve(device, root_mode=stat.S_IFREG | 0o666, holding=(), written=writer)
    os.close(writer)

    def log_there() -> None:
        os.dup2(os.open(log, os.O_WRONLY), 2)

    result = target.program.run("-o", "bogus", "--", mountpoint, user=caller, preexec_fn=log_there)
    ours.clean_up()
    with os.fdopen(reader, "rb") as stream:
        written = stream.read()

    assert 1 == result.exit_status
    assert (written == b"fusermount3: unknown option 'bogus'\n") != target.is_weak
