"""
A mount up to the last step before anything is mounted.

    --sync-init: the helper decides everything, has the kernel check every option, sends the device
    and waits for the proceed byte. We close the socket instead: no mount, by the contract.

So the sentence of a refusal is the very one that a mount would get. A helper that does not know
--sync-init (libfuse before 3.19) cannot rehearse; this package's own rules, run without any
privilege, are asked in every case. They stand in for it, and see what older helpers look at late.
"""

import errno
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from fusermount_py.client.find_helper import own_helper
from fusermount_py.helper import protocol

_SECONDS = 10.0
_PATIENCE = "3"  # what the helper itself has until then, for file systems that do not answer
_REPORT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a helper said. ``refusal`` is empty if it would mount; ``knows``: it can rehearse."""

    refusal: str
    warnings: tuple[str, ...]
    step: str = ""
    number: int = 0
    knows: bool = True


def of_rules(mountpoint: str, options: str) -> Answer:
    """What this package's rules say, up to the point where only a privileged helper gets on."""
    answer = _rehearse(own_helper(), mountpoint, options)
    if (answer.step, answer.number) == ("configure", errno.EPERM):
        return Answer("", answer.warnings)
    return answer


def of_helper(command: Sequence[str], mountpoint: str, options: str) -> Answer:
    """What the helper says that a FUSE library would start."""
    return _rehearse(command, mountpoint, options)


def _rehearse(command: Sequence[str], mountpoint: str, options: str) -> Answer:
    ours, theirs = socket.socketpair()
    program, *words = command
    with ours, theirs:
        variables = {
            protocol.COMM_FD: str(theirs.fileno()),
            protocol.REPORT: "1",
            protocol.PROCEED_TIMEOUT: _PATIENCE,
        }
        arguments = ["--sync-init", *(["-o", options] if options else []), "--", mountpoint]
        process = subprocess.Popen(  # noqa: S603  # as a FUSE library starts it
            [*words, *arguments],
            executable=program,
            env=variables,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        would_mount, report = _receive(ours)
    try:
        _, stderr = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return Answer("the helper did not come back", ())
    lines = [line.partition(": ")[2] for line in os.fsdecode(stderr).splitlines()]
    if would_mount:
        # The last line says that the client went away, which we did.
        return Answer("", tuple(lines[:-1]))
    refusal = lines[-1] if lines else "the helper failed without a word"
    return Answer(
        refusal,
        tuple(lines[:-1]),
        str(report.get("step", "")),
        int(report.get("errno", 0)),
        knows="sync-init" not in os.fsdecode(stderr),
    )


def _receive(ours: socket.socket) -> "tuple[bool, dict[str, str | int]]":
    """Whether the device came, and else the report if there is one."""
    ours.settimeout(_SECONDS)
    try:
        message, descriptors, _, _ = socket.recv_fds(ours, _REPORT_BYTES, 4)
    except OSError:
        return False, {}
    for descriptor in descriptors:
        os.close(descriptor)
    try:
        return bool(descriptors), {} if descriptors or not message else json.loads(message)
    except ValueError:
        return False, {}
