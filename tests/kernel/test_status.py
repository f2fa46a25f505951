"""What a client hears of the outcome: the status, read in both ways, and the report."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.flows import receive_armed, said
from support.injected import Injected
from support.program import END_OF_FILE, Program, Running
from support.users import User

REPORT = {"_FUSE_REPORT": "1"}


@pytest.mark.parametrize(("outcome", "number"), [("mounted", 0), ("refused", errno.ENOTCONN)])
@pytest.mark.parametrize("length", [1, 4])
def test_a_status_is_read_as_one_byte_or_as_four(
    ours: Program, caller: User, mountpoint: Path, outcome: str, number: int, length: int
) -> None:
    """
    The seed documents speak of a status byte, libfuse reads an int: both must be right.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    ours.serve(receive_armed(running), init=0 if outcome == "mounted" else errno.EIO)
    running.proceed()
    status = running.comm.recv(length)

    assert length == len(status)
    if length == 1:
        assert (outcome == "mounted") == (status == b"\0")
    else:
        assert -number == int.from_bytes(status, sys.byteorder, signed=True)
    assert (0 if outcome == "mounted" else 1) == running.wait().exit_status


def read_report(running: Running) -> Any:
    message = running.receive()
    assert () == message.descriptors
    assert b"\n" == message.payload[-1:]
    assert END_OF_FILE == running.receive()
    return json.loads(message.payload)


@pytest.mark.parametrize(
    ("words", "number", "step", "message", "kernel"),
    [
        ("--wrong MNT", errno.EINVAL, "arguments", "unrecognized option '--wrong'", []),
        ("", errno.EINVAL, "arguments", "missing mountpoint argument", []),
        ("MNT/x", errno.ENOENT, "mountpoint",
         "failed to access mountpoint MNT/x: No such file or directory", []),
        ("MNT/x/y", errno.ENOENT, "mountpoint",
         "bad mount point MNT/x/y: No such file or directory", []),
        ("/", errno.EACCES, "permission", "user has no write access to mountpoint /", []),
        ("-o wrong MNT", errno.EPERM, "options", "unknown option 'wrong'", []),
        ("-o max_read=a MNT", errno.EINVAL, "configure",
         "mount failed: Invalid argument [fuse: Bad value for 'max_read']",
         ["fuse: Bad value for 'max_read'"]),
    ],
)  # fmt: skip
def test_a_refusal_is_reported_to_the_client_that_asks(
    ours: Program,
    caller: User,
    mountpoint: Path,
    words: str,
    number: int,
    step: str,
    message: str,
    kernel: list[str],
) -> None:
    """
    A library can then tell its user why, without reading a terminal's sentences.
    """
    running = ours.start(
        *words.replace("MNT", str(mountpoint)).split(), user=caller, environment=REPORT
    )

    sentence = message.replace("MNT", str(mountpoint))
    assert {
        "errno": number,
        "step": step,
        "message": sentence,
        "kernel": kernel,
    } == read_report(running)
    assert said(sentence) == running.wait().stderr


def refuse_init(ours: Program, running: Running, _mountpoint: Path) -> None:
    ours.serve(receive_armed(running), init=errno.EPERM)
    running.proceed()


def stay_silent(ours: Program, running: Running, _mountpoint: Path) -> None:
    ours.serve(receive_armed(running), init=None)
    running.proceed()


def never_proceed(_ours: Program, running: Running, _mountpoint: Path) -> None:
    running.receive_device()


def remove_mountpoint(_ours: Program, running: Running, mountpoint: Path) -> None:
    running.receive_device()
    mountpoint.rmdir()
    running.proceed()


@pytest.mark.parametrize(
    ("client", "number", "step"),
    [
        (never_proceed, errno.ETIMEDOUT, "proceed"),
        (refuse_init, errno.ENOTCONN, "create"),
        (stay_silent, errno.ETIMEDOUT, "create"),
        (remove_mountpoint, errno.ENOENT, "attach"),
    ],
)
def test_a_failure_is_reported_behind_the_status(
    ours: Program,
    caller: User,
    mountpoint: Path,
    client: Callable[[Program, Running, Path], None],
    number: int,
    step: str,
) -> None:
    """
    The status alone does not tell a silent server from a silent client.
    """
    clocks = {"_FUSE_PROCEED_TIMEOUT": "1", "_FUSE_INIT_TIMEOUT": "0.1"}
    running = ours.start_sync_init(mountpoint, user=caller, environment=REPORT | clocks)
    client(ours, running, mountpoint)

    assert -number == int.from_bytes(running.comm.recv(4), sys.byteorder, signed=True)
    report = read_report(running)
    assert (number, step) == (report["errno"], report["step"])
    assert said(report["message"]) == running.wait().stderr
    mountpoint.mkdir(exist_ok=True)


def test_a_device_that_cannot_be_opened_is_reported(
    ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    An administrator who closed /dev/fuse to users meant it.
    """
    os.chmod("/dev/fuse", 0o600)
    try:
        running = ours.start("--", mountpoint, user=caller, environment=REPORT)
        report = read_report(running)
    finally:
        os.chmod("/dev/fuse", 0o666)

    assert (errno.EACCES, "device") == (report["errno"], report["step"])
    assert "failed to open /dev/fuse: Permission denied" == report["message"]


@pytest.mark.parametrize(
    ("fault", "step", "is_late"),
    [("sendmsg:error=EPERM:when=1", "send", False), ("fsmount:error=EPERM", "mount", True)],
)
def test_what_only_a_system_call_can_refuse_is_reported(
    ours: Program, caller: User, mountpoint: Path, fault: str, step: str, is_late: bool
) -> None:
    """
    A security module may forbid to pass a device on, or to mount at all.
    """
    helper = Injected(ours, (fault,))
    running = helper.start_sync_init(mountpoint, user=caller, environment=REPORT)
    if is_late:
        running.receive_device()
        running.proceed()
        assert -errno.EPERM == running.read_status()

    report = read_report(running)
    running.wait()
    helper.clean_up()

    assert (errno.EPERM, step) == (report["errno"], report["step"])


@pytest.mark.parametrize("value", ["0", "", "yes", "11"])
def test_without_the_variable_nothing_more_is_sent(
    ours: Program, caller: User, home: Path, value: str
) -> None:
    """
    A client that does not know of reports reads whatever comes as its device, or its status.
    """
    running = ours.start("--", home / "missing", user=caller, environment={"_FUSE_REPORT": value})

    assert END_OF_FILE == running.receive()
    assert 1 == running.wait().exit_status


def test_a_success_is_not_reported(ours: Program, caller: User, mountpoint: Path) -> None:
    """
    The status, or the device, says all there is to say.
    """
    running = ours.start("--", mountpoint, user=caller, environment=REPORT)

    running.receive_device()
    assert END_OF_FILE == running.receive()
