"""Becoming a daemon: what the parent learns, and what is left of it all."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusermount_py import daemonize
from support.machine import SITE

PRELUDE = """\
import json, os, sys, threading, time
from fusermount_py import daemonize

REPORT, STAY = {report}, {stay}


def tell(**facts):
    os.write(REPORT, (json.dumps(facts) + "\\n").encode())


def stay():
    os.read(STAY, 1)


def up():
    daemonize.set_mounted()
    daemonize.set_got_init()
    daemonize.success()


def possessions():
    names = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    links = {{}}
    for name in names:
        try:
            links[name] = os.readlink(f"/proc/self/fd/{{name}}")
        except OSError:
            pass  # the listing itself
    for own in (REPORT, STAY):
        links.pop(own)
    task = f"/proc/self/task/{{os.getpid()}}"
    children = open(f"{{task}}/children").read().split()
    return dict(
        descriptors=links, threads=len(os.listdir("/proc/self/task")), children=children,
        directory=os.getcwd(), session=os.getsid(0), pid=os.getpid(),
    )

"""


class Daemon:
    """A program that starts in two phases; `parent` is what a shell would wait for."""

    def __init__(self, code: str, **popen: Any) -> None:
        report_reader, report = os.pipe()
        stay, self._stay = os.pipe()
        self._report = os.fdopen(report_reader, encoding="utf-8")
        environment = {"PYTHONPATH": os.fspath(SITE), "PYTHONDONTWRITEBYTECODE": "1"}
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PRELUDE.format(report=report, stay=stay) + code],
            env=environment | popen.pop("env", {}),
            pass_fds=(report, stay),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/tmp",
            **popen,
        )
        os.close(report)
        os.close(stay)

    def verdict(self) -> tuple[int, str]:
        """The parent's exit status, and all that came out of it or the child until then."""
        out, error = self.parent.communicate(timeout=20)
        return self.parent.returncode, out + error

    def told(self) -> dict[str, Any]:
        """What the child said of itself."""
        facts: dict[str, Any] = json.loads(self._report.readline())
        return facts

    def release(self) -> None:
        """Let a child that stays go."""
        if self._stay >= 0:
            os.close(self._stay)
            self._stay = -1

    def end(self) -> None:
        """Return when all of them have gone."""
        self.release()
        if self._report.closed:
            return
        assert "" == self._report.read()
        self._report.close()


@pytest.fixture
def start(nothing_left: None) -> Iterator[Any]:
    started: list[Daemon] = []

    def start_one(code: str, **popen: Any) -> Daemon:
        started.append(Daemon(code, **popen))
        return started[-1]

    yield start_one
    for daemon in started:
        daemon.parent.kill()
        daemon.release()  # whoever keeps stdout must end for it to end
        daemon.parent.communicate()
        daemon.end()


def test_success_is_status_0_and_silence(start: Any) -> None:
    """
    A shell gives its prompt back, and "$(myfs /mnt)" does not wait for the server's output.
    """
    daemon = start("daemonize.start(); print('early'); up(); print('late'); tell(); stay()")

    assert (0, "early\n") == daemon.verdict()
    assert {} == daemon.told()


def test_the_child_has_a_session_of_its_own_and_nothing_else(start: Any) -> None:
    """
    A terminal that closes must not take the server along, and a pipe that stays open leaks.
    """
    daemon = start("daemonize.start(); up(); tell(**possessions()); stay()")
    daemon.verdict()
    child = daemon.told()

    assert {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"} == child["descriptors"]
    assert (1, []) == (child["threads"], child["children"])
    assert ("/", child["pid"]) == (child["directory"], child["session"])
    assert daemon.parent.pid != child["pid"]


def test_stdin_is_no_longer_the_terminals_while_the_server_starts(start: Any) -> None:
    """
    A server that reads what the user types for the shell is a nuisance.
    """
    daemon = start("daemonize.start(); tell(stdin=os.readlink('/proc/self/fd/0')); up()")

    assert {"stdin": "/dev/null"} == daemon.told()


@pytest.mark.parametrize(
    ("call", "verdict"),
    [
        ("daemonize.fail(5, 'myfs: no disk')", (5, "myfs: no disk\n")),
        ("daemonize.fail(5)", (5, "")),
        ("daemonize.fail(0, 'zero')", (1, "zero\n")),
        ("daemonize.fail(-13, 'negative')", (1, "negative\n")),
        ("daemonize.fail(256, 'too big')", (1, "too big\n")),
        ("daemonize.fail(7, 'one'); daemonize.fail(8, 'two')", (7, "one\n")),
        ("daemonize.fail(7, 'one'); up()", (7, "one\n")),
        ("up(); daemonize.fail(7, 'late')", (0, "")),
        ("daemonize.fail(7, '\\udcff\\u20ac')", (7, "\\xff\u20ac\n")),
    ],
)
def test_a_failure_is_the_parents_status_and_message(
    start: Any, call: str, verdict: tuple[int, str]
) -> None:
    """
    mount(8) and boot scripts see this, and nothing else.
    """
    daemon = start(f"daemonize.start(); {call}; tell(**possessions())", encoding="utf-8")

    assert verdict == daemon.verdict()
    assert {"0", "1", "2"} == set(daemon.told()["descriptors"])


def test_a_message_of_any_length_arrives(start: Any) -> None:
    """
    A traceback of a library must not block the child in its last moment.
    """
    daemon = start("daemonize.start(); daemonize.fail(3, 'x' * 1_000_000)")
    status, said = daemon.verdict()

    assert 3 == status
    assert said.startswith("xxx")


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os._exit(3)", "exit status 3"),
        ("sys.exit(0)", "exit status 0"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("os.abort()", "killed by signal 6"),
        ("os.fork() or (stay(), os._exit(0)); os._exit(3)", "exit status 3"),
    ],
)
def test_a_child_that_dies_without_a_verdict_is_told_at_once(
    start: Any, death: str, how: str
) -> None:
    """
    However it dies, and whoever still holds the pipe, the shell must not wait for ever.
    """
    daemon = start(f"daemonize.start(); {death}", preexec_fn=_no_core)
    daemon.parent.wait(20)
    daemon.end()

    assert (1, f"-c: the server ended before it was ready ({how})\n") == daemon.verdict()


def test_an_exception_in_the_child_is_seen_and_told(start: Any) -> None:
    """
    The traceback is for the author, the status for the script.
    """
    status, said = start("daemonize.start(); 1 / 0").verdict()

    assert 1 == status
    assert "ZeroDivisionError" in said
    assert said.endswith("-c: the server ended before it was ready (exit status 1)\n")


def _no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)]
)
def test_a_parent_that_dies_first_takes_the_child_along(
    start: Any, end: signal.Signals, status: int
) -> None:
    """
    Whoever pressed Ctrl-C does not expect a server to come up a minute later.
    """
    daemon = start(
        "daemonize.start(); daemonize.at_parents_death(lambda: tell(undone=True));"
        "tell(ready=True); stay()"
    )
    assert {"ready": True} == daemon.told()
    time.sleep(0.05)  # for the parent to be waiting
    daemon.parent.send_signal(end)

    assert (status, "") == daemon.verdict()
    assert {"undone": True} == daemon.told()
    assert "" == daemon._report.read()  # noqa: SLF001  # the child has gone, by itself


def test_starting_twice_forks_once(start: Any) -> None:
    """
    A library calls it, and so does the program that uses the library.
    """
    daemon = start(
        "daemonize.start(); pid = os.getpid(); daemonize.start();"
        "tell(same=pid == os.getpid()); up()"
    )

    assert (0, "") == daemon.verdict()
    assert {"same": True} == daemon.told()


@pytest.mark.parametrize("first", ["set_mounted", "set_got_init"])
def test_success_is_told_when_both_are_true(start: Any, first: str) -> None:
    """
    With synchronous INIT the mount comes second, without it the INIT; a server cannot know.
    """
    second = {"set_mounted": "set_got_init", "set_got_init": "set_mounted"}[first]
    daemon = start(
        "seen = [daemonize.is_active()]; daemonize.start(); seen += [daemonize.is_active()];"
        f"daemonize.{first}(); daemonize.success(); seen += [daemonize.is_active()];"
        f"daemonize.{second}(); daemonize.success(); seen += [daemonize.is_active()];"
        "daemonize.success(); tell(seen=seen, used=daemonize.is_used())"
    )

    assert (0, "") == daemon.verdict()
    assert {"seen": [False, True, True, False], "used": True} == daemon.told()


def test_success_from_many_threads_at_once_is_told_once(start: Any) -> None:
    """
    INIT is answered by one thread while another returns from the mount.
    """
    daemon = start(
        "daemonize.start(); daemonize.set_mounted(); daemonize.set_got_init()\n"
        "threads = [threading.Thread(target=daemonize.success) for _ in range(16)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "tell(**possessions())"
    )

    assert (0, "") == daemon.verdict()
    assert {"0", "1", "2"} == set(daemon.told()["descriptors"])


def test_without_start_everything_else_does_nothing(start: Any) -> None:
    """
    A server calls success() from its INIT handler however it was started.
    """
    daemon = start(
        "before = possessions(); daemonize.success(); up(); up();"
        "tell(same=before == possessions(), used=daemonize.is_used()); print('out')"
    )

    assert (0, "out\n") == daemon.verdict()
    assert {"same": True, "used": False} == daemon.told()


def test_failing_without_start_is_a_message(start: Any) -> None:
    """
    In the foreground nobody else would say why.
    """
    assert (0, "no disk\n") == start("daemonize.fail(5, 'no disk')").verdict()


@pytest.mark.parametrize(
    ("flags", "directory", "forked", "output"),
    [
        ("0", "/", True, ""),
        ("daemonize.NO_CHDIR", "/tmp", True, ""),
        ("daemonize.NO_REDIRECT", "/", True, "late\n"),
        ("daemonize.NO_BACKGROUND", "/", False, "late\n"),
        ("daemonize.NO_BACKGROUND | daemonize.NO_CHDIR", "/tmp", False, "late\n"),
    ],
)
def test_flags(start: Any, flags: str, directory: str, forked: bool, output: str) -> None:
    """
    Service managers own stdout and have put the server where it shall be.
    """
    daemon = start(
        f"daemonize.start({flags}); up(); tell(**possessions());"
        "print('late', flush=True); stay() if os.getsid(0) == os.getpid() else None"
    )
    child = daemon.told()
    if forked:
        daemon.parent.wait(20)
        daemon.release()  # whoever keeps stdout must end for it to end

    assert (0, output) == daemon.verdict()
    assert directory == child["directory"]
    assert forked == (child["pid"] != daemon.parent.pid)


@pytest.mark.parametrize("kind", ["path", "abstract"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("up()", "READY=1\nMAINPID={pid}"),
        ("daemonize.fail(5, 'no\\ndisk')", "STATUS=no disk\nERRNO=5"),
    ],
)
def test_a_service_manager_is_told(
    start: Any, home: Path, kind: str, call: str, message: str
) -> None:
    """
    Type=notify units count as started when the server says so, and not before.
    """
    address = f"{home}/notify" if kind == "path" else f"@fusermount-py-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(address if kind == "path" else "\0" + address[1:])
        daemon = start(
            f"daemonize.start(daemonize.NO_BACKGROUND); {call}; {call}; tell()",
            env={"NOTIFY_SOCKET": address},
        )
        told = manager.recv(4096).decode()
        daemon.verdict()
        daemon.told()

        assert message.format(pid=daemon.parent.pid) == told
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_a_service_manager_that_is_gone_changes_nothing(start: Any) -> None:
    """
    The file system is up all the same.
    """
    daemon = start("daemonize.start(); up()", env={"NOTIFY_SOCKET": "/missing/notify"})

    assert (0, "") == daemon.verdict()


def test_the_old_call_goes_to_the_background_at_once(start: Any) -> None:
    """
    Programs that cannot say when they are up still use it.
    """
    daemon = start("daemonize.daemonize(False); tell(**possessions()); stay()")

    assert (0, "") == daemon.verdict()
    child = daemon.told()
    assert {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"} == child["descriptors"]
    assert ("/", child["pid"]) == (child["directory"], child["session"])


def test_the_old_call_in_the_foreground_only_goes_to_the_root(start: Any) -> None:
    """
    A server in the foreground must not keep its directory busy either.
    """
    daemon = start("daemonize.daemonize(True); tell(**possessions()); print('out')")

    assert (0, "out\n") == daemon.verdict()
    child = daemon.told()
    assert ("/", daemon.parent.pid) == (child["directory"], child["pid"])


@pytest.mark.parametrize("calls", ["start(); d.daemonize(False)", "daemonize(True); d.start()"])
def test_the_old_call_and_the_new_exclude_each_other(start: Any, calls: str) -> None:
    """
    Two forks would leave a parent that waits for a verdict nobody can give.
    """
    status, said = start(f"d = daemonize; d.{calls}").verdict()

    assert 1 == status
    assert "OSError: [Errno 16]" in said


def test_two_hundred_daemons_start_at_once(nothing_left: None) -> None:
    """
    A cluster node mounts for all of its users after a reboot.
    """
    parents = []
    for _ in range(200):
        parent = os.fork()
        if parent == 0:
            try:
                daemonize.start()
                daemonize.set_mounted()
                daemonize.set_got_init()
                daemonize.success()
            finally:
                os._exit(len(os.listdir("/proc/self/task")) - 1)
        parents.append(parent)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) for parent in parents]

    assert [0] * 200 == statuses
