"""The setuid front by itself: what of the caller's choices reaches the helper, and what not."""

import ctypes
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import kernel, machine
from support.program import PATIENCE, Program, Result
from support.users import CALLER, ROOT, User

ENTRY = r"""
import json, os, resource, sys

def files():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass  # the listing itself

status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines())
answer = {
    "argv": [os.fsencode(word).hex() for word in sys.argv[1:]],
    "interpreter": sys.orig_argv[: sys.orig_argv.index(sys.argv[0]) + 1],
    "environment": dict(os.environ),
    "files": dict(files()),
    "ids": [os.getresuid(), os.getresgid()],
    "blocked": int(status["SigBlk"], 16),
    "ignored": int(status["SigIgn"], 16),
    "umask": os.umask(0),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "path": sys.path,
    "modules": [module.__file__ for module in sys.modules.values() if hasattr(module, "__file__")],
}
os.write(1, json.dumps(answer).encode())
"""
Front = Callable[..., Any]
IGNORED_BY_PYTHON = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1


@pytest.fixture(scope="module")
def installed_front(private_machine: None) -> Iterator[Path]:
    """The launcher as `make install` builds it, in front of an entry.py that only looks around."""
    prefix = machine.PREFIX / "front"
    program = machine.install(prefix)
    (prefix / "lib" / "fusermount-py" / "entry.py").write_text(ENTRY)
    yield program
    machine.uninstall(prefix)


@pytest.fixture
def launcher(nothing_left: None, installed_front: Path) -> Iterator[Program]:
    program = Program(str(installed_front))
    yield program
    program.clean_up()


@pytest.fixture
def front(launcher: Program, caller: User) -> Front:
    """Runs the launcher as the caller; returns what the helper would have seen."""

    def run(*words: str | bytes, user: User = caller, **how: Any) -> Any:
        result = launcher.run(*words, user=user, **how)
        assert (0, b"") == (result.exit_status, result.stderr)
        return json.loads(result.stdout)

    return run


def test_the_helper_gets_the_callers_words_as_they_are(front: Front) -> None:
    """
    Its messages begin with argv[0], and paths are bytes in no encoding.
    """
    words = [b"", b"-o", b"fsname=\xff\n", b"-c", b"--", b"\xe4 mnt"]

    seen = front(*words, argv0=b"/bin/\xfcfusermount\n")

    expected = [b"/bin/\xfcfusermount\n", *words]
    assert [word.hex() for word in expected] == seen["argv"]


def test_the_interpreter_runs_isolated_under_its_own_name(front: Front) -> None:
    """
    It looks for its library, and for a pyvenv.cfg, beside the name it is called by.
    """
    seen = front(argv0="/tmp/python3")

    entry = machine.PREFIX / "front" / "lib" / "fusermount-py" / "entry.py"
    assert ["/usr/bin/python3", "-I", "-S", "-B"] == seen["interpreter"][:4]
    assert str(entry) == seen["interpreter"][-1]


def test_real_ids_are_the_callers_and_effective_ones_roots(front: Front, caller: User) -> None:
    """
    Who asks is decided from the real ids, in the helper's first line.
    """
    uid, gid = caller.uid, caller.gid

    assert [[uid, 0, 0], [gid, gid, gid]] == front()["ids"]


def test_of_the_environment_only_the_contract_passes(front: Front, home: Path) -> None:
    """
    CVE-2015-3202, CVE-2024-48990: variables that make a program load what the user wrote.
    """
    ours = {
        "_FUSE_COMMFD": "17",
        "_FUSE_REPORT": "1",
        "_FUSE_PROCEED_TIMEOUT": "2",
        "_FUSE_INIT_TIMEOUT": "3",
    }
    names = ["LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"]
    names += ["PYTHONINSPECT", "PYTHONMALLOC", "PYTHONWARNINGS", "LC_ALL", "LANG", "LANGUAGE"]
    names += ["GCONV_PATH", "MALLOC_CHECK_", "GLIBC_TUNABLES", "PATH", "HOME", "TMPDIR"]
    names += ["LIBMOUNT_FSTAB", "FUSE_KERN_DEVICE", "_FUSE_COMMFD2", "_FUSE_DAEMON", ""]
    hostile = {name: str(home) for name in names if name}

    seen = front(environment={**hostile, **ours}, comm=None)

    del seen["environment"]["LC_CTYPE"]  # python's own, and a constant
    assert ours == seen["environment"]


def test_root_alone_chooses_another_device(front: Front) -> None:
    """
    An ordinary caller could name a device node that root's rights open and the caller's do not.
    """
    chosen = {"FUSE_KERN_DEVICE": "/dev/cuse"}

    assert "FUSE_KERN_DEVICE" not in front(environment=chosen)["environment"]
    assert front(environment=chosen, user=ROOT)["environment"].items() >= chosen.items()


def test_of_a_name_given_twice_the_first_counts(launcher: Program) -> None:
    """
    Were it the last for us and the first for getenv, two checks would see two numbers.
    """
    answer, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        execve(launcher.path, [b"f"], [b"_FUSE_REPORT=first", b"_FUSE_REPORT=second"])
    os.close(writer)
    with os.fdopen(answer) as stream:
        seen = json.loads(stream.read())
    os.waitpid(child, 0)

    assert "first" == seen["environment"]["_FUSE_REPORT"]


def execve(path: str, words: list[bytes], environment: list[bytes]) -> None:
    """As the system call: os.execve knows no empty argv and no name twice. Never returns."""
    arrays = [(ctypes.c_char_p * (len(each) + 1))(*each, None) for each in (words, environment)]
    ctypes.CDLL(None).execve(path.encode(), *arrays)
    os._exit(127)


def test_an_empty_argv_is_refused_or_named_by_the_kernel(launcher: Program) -> None:
    """
    CVE-2021-4034: a program that walks argv from its second element then walks environ.
    """
    child = os.fork()
    if child == 0:
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        execve(launcher.path, [], [b"--comm-fd=5"])
    _, status = os.waitpid(child, 0)

    # From Linux 5.18 on the kernel puts an empty argv[0] there, and all is well.
    assert os.waitstatus_to_exitcode(status) in (0, 1)


@pytest.mark.parametrize(
    "words",
    [
        ["--comm-fd=30"],
        ["--comm-fd", "30"],
        ["--c=30"],
        ["--comm", "30", "-o", "x"],
        ["mnt", "--comm-f=30"],
    ],
    ids=" ".join,
)
def test_the_comm_socket_may_be_named_by_option(front: Front, words: list[str]) -> None:
    """
    Libfuse 3.19 names it so; getopt_long takes every abbreviation.
    """
    with socket.socket() as other:
        table = front(
            *words, comm_fd=30, environment={"_FUSE_COMMFD": ""}, pass_fds=[30, other.fileno()]
        )

    assert {"0", "1", "2", "30"} == table["files"].keys()


@pytest.mark.parametrize(
    "number", ["-1", "", " 30", "0x1e", "030x", "2147483648", "99999999999999999999", "30,31"]
)
def test_what_is_no_number_keeps_no_descriptor(front: Front, number: str) -> None:
    """
    What is kept is kept for exactly the number that the helper will read.
    """
    table = front(comm_fd=30, environment={"_FUSE_COMMFD": number})

    assert {"0", "1", "2"} == table["files"].keys()


def test_no_other_descriptor_of_the_caller_survives(front: Front) -> None:
    """
    One that does could stand where the helper believes a file of its own to be.
    """
    extra = [os.open("/", os.O_RDONLY) for _ in range(100)]

    table = front(pass_fds=[*extra, 400], comm_fd=400)

    for descriptor in extra:
        os.close(descriptor)
    assert {"0", "1", "2", "400"} == table["files"].keys()


@pytest.mark.parametrize("user", [CALLER, ROOT], ids=["caller", "root"])
def test_closed_standard_descriptors_are_taken(launcher: Program, user: User) -> None:
    """
    Otherwise the device would become fd 2, and a message to the caller a write to the device.
    """

    def close_two() -> None:
        os.close(0)
        os.close(2)

    running = launcher.start(user=user, comm=None, stdin=None, stderr=None, preexec_fn=close_two)
    table = json.loads(running.wait().stdout)["files"]

    # In a setuid program, and before us, libc takes 0 with /dev/full, for reads to fail.
    assert table["0"] in ("/dev/null", "/dev/full")
    assert "/dev/null" == table["2"]


def test_signals_umask_and_core_limit_are_ours(front: Front) -> None:
    """
    With SIGCHLD ignored no child can be waited for; with a umask of 0 what root creates
    belongs to everyone; a core file in the caller's directory would hold what root read. SIGINT
    stays blocked, for the helper to open when Python's handler for it is gone.
    """

    def prepare() -> None:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.umask(0)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)

    seen = front(preexec_fn=prepare)

    assert 1 << signal.SIGINT - 1 == seen["blocked"]
    assert 0 == seen["ignored"] & ~IGNORED_BY_PYTHON & (1 << 31) - 1
    assert 0o022 == seen["umask"]
    assert [0, 0] == seen["core"]


def test_nothing_is_imported_from_where_the_caller_stands(
    front: Front, home: Path, caller: User
) -> None:
    """
    CVE-2011-0542 and the like: os.py, encodings and pyvenv.cfg in the current directory.
    """
    for name in ("os.py", "json.py", "encodings/__init__.py", "fusermount_py/__init__.py"):
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('imported')")
    (home / "pyvenv.cfg").write_text(f"home = {home}\n")

    seen = front(cwd=home, argv0=str(home / "python3"))

    tree = str(machine.PREFIX / "front" / "lib" / "fusermount-py")
    assert all(path.startswith("/usr/lib/python3") for path in seen["path"]), seen["path"]
    assert all(file.startswith((tree, "/usr/lib/python3")) for file in seen["modules"])


@pytest.mark.parametrize("count", [1000, 100_000])
def test_as_many_arguments_as_the_kernel_takes(front: Front, count: int) -> None:
    """
    The caller chooses how many there are, and how small the stack is.
    """
    assert count + 1 == len(front(*["--c=5"] * count)["argv"])


def test_an_interpreter_that_cannot_be_executed_is_one_sentence(
    launcher: Program, caller: User
) -> None:
    """
    Callers show this line; half an installation must not look like a refusal of the mount.
    """
    interpreter = os.path.realpath("/usr/bin/python3")
    kernel.mount("/etc/passwd", interpreter, flags=kernel.MS_BIND)
    try:
        result = launcher.run("mnt", user=caller, argv0="/bin/fusermount")
    finally:
        kernel.umount(interpreter)

    sentence = b"/bin/fusermount: cannot execute /usr/bin/python3: Permission denied\n"
    assert Result(1, b"", sentence) == result


def test_a_sentence_nobody_reads_is_still_exit_status_1(launcher: Program, caller: User) -> None:
    """
    A caller that closed its end of stderr must not see a death by SIGPIPE.
    """
    interpreter = os.path.realpath("/usr/bin/python3")
    reader, writer = os.pipe()
    os.close(reader)
    kernel.mount("/etc/passwd", interpreter, flags=kernel.MS_BIND)
    try:
        running = launcher.start("mnt", user=caller, stderr=writer)
        status = running.process.wait(PATIENCE)
    finally:
        kernel.umount(interpreter)
        os.close(writer)

    assert 1 == status
