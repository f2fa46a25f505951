"""`fusermount-py pending`: each stage of a handshake, and who is at the other end."""

import os
import time
from pathlib import Path
from typing import Any

from support.admin import Admin
from support.essential import essential_skip
from support.kernel import arm_sync_init
from support.program import PATIENCE, Program, Running
from support.users import ROOT, User


def row_of(admin: Admin, running: Running, user: User = ROOT) -> dict[str, Any]:
    """What ``pending`` says of this one helper; other tests of this machine have theirs."""
    rows = admin.json("pending", user=user)
    (row,) = [row for row in rows if row["helper"] == running.process.pid]
    assert isinstance(row, dict)
    return row


def test_a_helper_that_waits_for_proceed_is_shown_with_its_client(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A mount that never comes has a client that never said go on: this names it.
    """
    running = ours.start_sync_init(mountpoint, "fsname=demo", user=caller)
    running.receive_device()

    row = row_of(admin, running)

    assert "proceed" == row["waits_for"]
    assert (str(mountpoint), "fsname=demo", caller.uid) == (
        row["mountpoint"],
        row["options"],
        row["caller"],
    )
    assert os.getpid() in [client["pid"] for client in row["clients"]]


def test_a_helper_that_waits_for_init_is_told_from_one_that_waits_for_proceed(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Then it is the server that hangs, and not the library that starts it.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    device = running.receive_device()
    if not arm_sync_init(device):
        essential_skip("needs synchronous FUSE_INIT, Linux 6.18")
    ours.serve(device, init=None)
    running.proceed()

    deadline = time.monotonic() + PATIENCE
    while (row := row_of(admin, running))["waits_for"] != "FUSE_INIT":
        assert time.monotonic() < deadline, row


def test_an_ordinary_user_is_told_what_the_command_line_says_and_no_more(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    A setuid helper hides from its caller: unknown is not nobody.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()

    row = row_of(admin, running, user=caller)

    assert (str(mountpoint), None) == (row["mountpoint"], row["clients"])


def test_nothing_is_shown_when_the_handshake_is_over(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Only what is pending is pending.
    """
    result = ours.mount(mountpoint, user=caller)

    assert 0 == result.exit_status
    assert str(mountpoint).encode() not in admin.run("pending").stdout


def test_where_the_kernel_tells_nothing_of_sockets_the_client_is_unknown(
    admin: Admin, ours: Program, caller: User, mountpoint: Path
) -> None:
    """
    Its module for that may be missing, and a sandbox may forbid the question.
    """
    running = ours.start_sync_init(mountpoint, user=caller)
    running.receive_device()
    inject = "inject=socket:error=EPROTONOSUPPORT"
    admin.command = (
        "/usr/bin/strace",
        "-qq",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        inject,
        *admin.command,
    )

    row = row_of(admin, running)

    assert (str(mountpoint), None) == (row["mountpoint"], row["clients"])
