"""`fusermount-py trace --user`: what root's command gives the traced user, and hears from them."""

import json
import os
import signal
from pathlib import Path

import pytest

from support.admin import Admin
from support.users import CALLER

SAY = """
import os, socket, sys, time
log = os.environ['PATH'].partition(':')[0] + '/log'
teller = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
teller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
def say(what): teller.sendto(what.encode() if isinstance(what, str) else what, log)
"""
EXIT = {"event": "exit", "at": 1.0, "status": 0}


def tracing(code: str, *words: str) -> list[str]:
    """The command line of a user's program that speaks to the log by itself."""
    program = ["/usr/bin/python3", "-c", SAY + code]
    return ["trace", *words, "--user", str(CALLER.uid), "--", *program]


@pytest.mark.parametrize("user", ["man", "6"])
def test_a_user_is_traced_with_its_own_group_and_not_with_that_of_its_number(
    admin: Admin, user: str
) -> None:
    """
    On Debian man is uid 6 and group 6 is the disk's, which may write to every disk.
    """
    lines = Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
    (gid,) = [line.split(":")[3] for line in lines if line.startswith("man:")]
    assert gid != "6"

    result = admin.run("trace", "--user", user, "--", "sh", "-c", "id -u; id -g; id -G")

    assert (0, f"6\n{gid}\n{gid}\n") == (result.exit_status, result.stdout.decode())


def test_a_traced_user_keeps_the_groups_of_a_login_and_none_of_roots(admin: Admin) -> None:
    """
    With fewer, what is traced is not what the user sees; with root's, the user is more than that.
    """
    with open("/etc/group", "a", encoding="utf-8") as groups:
        groups.write(f"one:x:7001:test{CALLER.uid}\ntwo:x:7002:other,test{CALLER.uid}\n")
    told = "grep -e ^Groups -e ^CapInh /proc/self/status"
    words = ("trace", "--user", str(CALLER.uid), "--", "sh", "-c", told)

    result = admin.run(*words, preexec_fn=lambda: os.setgroups([0, 4, 6]))

    lines = [line.split() for line in result.stdout.decode().splitlines()]
    assert [["Groups:", "7001", "7002"], ["CapInh:", "0" * 16]] == lines


def test_a_user_without_a_line_is_refused(admin: Admin) -> None:
    """
    Nothing says which group such a process would have.
    """
    result = admin.run("trace", "--user", "4242", "--", "id")

    assert (2, b"") == (result.exit_status, result.stdout)
    assert b"user 4242 has no line in /etc/passwd" in result.stderr


@pytest.mark.parametrize(
    "what",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 5000,
        json.dumps([EXIT]),
        json.dumps({**EXIT, "event": "new"}),
        json.dumps({**EXIT, "event": ["exit"]}),
        json.dumps({"event": "exit", "status": 0}),
        json.dumps({**EXIT, "at": "soon"}),
        json.dumps({**EXIT, "at": float("nan")}),
        json.dumps({**EXIT, "status": "\x1b[31m"}),
        json.dumps({"event": "call", "at": 1.0, "comm": "", "arguments": "x"}),
        json.dumps({"event": "call", "at": 1.0, "comm": "", "arguments": ["\ud800"]}),
        json.dumps({"event": "stderr", "at": 1.0, "text": "\udfff"}),
        json.dumps({"event": "message", "at": 1.0, "who": "x", "payload": "0", "descriptors": []}),
    ],
    ids=lambda what: what[:24],
)
def test_no_datagram_of_a_users_ends_roots_trace(admin: Admin, what: str | bytes) -> None:
    """
    It is root's process, and says what happened: the user's words are no part of it.
    """
    result = admin.run(*tracing(f"say({what!r}); say({json.dumps(EXIT)!r})"))

    assert (0, b"") == (result.exit_status, result.stdout)
    (line,) = result.stderr.decode().splitlines()
    assert line.endswith("helper ends with status 0")


def test_a_pid_is_the_kernels_word(admin: Admin) -> None:
    """
    What the sender says of it would be escape sequences on root's terminal.
    """
    told = json.dumps({**EXIT, "pid": "\x1b]0;owned\x07"})

    result = admin.run(*tracing(f"print(os.getpid(), flush=True); say({told!r})"))

    assert f"  [{int(result.stdout)}] helper ends" in result.stderr.decode()
    assert b"\x1b" not in result.stderr


def test_the_trace_ends_with_its_command_whoever_talks_on(admin: Admin) -> None:
    """
    Else any process of the user's keeps root's command, and root's script, for ever.
    """
    flood = "pid = os.fork()\nwhile pid == 0: say(b'x')\nprint(pid, flush=True)"

    result = admin.run(*tracing(flood))

    os.kill(int(result.stdout), signal.SIGKILL)
    assert 0 == result.exit_status


def test_how_much_is_kept_is_not_the_users_to_say(admin: Admin) -> None:
    """
    A user could else have root's process take all memory, which no limit of the user's bounds.
    """
    flood = 'long = \'{"event": "stderr", "at": 1.0, "text": "%s"}\' % (\'x\' * 200_000)\n'
    flood += "for _ in range(200): say(long)"

    result = admin.run(*tracing(flood, "--json"))

    assert 0 == result.exit_status
    assert len(result.stdout) < 20_000_000
    assert b"fusermount-py: that is as much as is told\n" == result.stderr
