"""
``fusermount-py trace``: a FUSE program, its helper, and what they say to each other.

    a folder ahead on PATH -> fusermount3 is our relay there -> the helper that PATH found before

Programs that start the helper by its full path, as libfuse does, pass that folder by. Only a mount
over the helper's path can stop them: that is --private, for root.
"""

import os
import select
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import click

from fusermount_py.admin import relay, relayed, screen, selection, users
from fusermount_py.admin.relayed import Event
from fusermount_py.admin.story import Story
from fusermount_py.admin.which_helper import which_helper

_NAMES = ("fusermount3", "fusermount")
_EVENT_BYTES = 1 << 18  # what a relay passes on at once, in hexadecimal, and more
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_MOST_BYTES = 1 << 24  # of events: the traced user says how many there are, and we keep them
_LAST_SECONDS = 1.0  # for what was sent before the command ended; a user may send on for ever
# $1 the folder, $2 the helper; the rest is the command. What is bound over a path is seen by the
# command alone, and so is what it mounts.
_PRIVATELY = """
set -e
folder=$1 helper=$2; shift 2
: >"$folder/helper"
mount --bind "$helper" "$folder/helper"
for path in /bin /usr/bin /usr/local/bin "${helper%/*}"; do
    for name in fusermount3 fusermount; do
        [ ! -e "$path/$name" ] || mount --bind "$folder/fusermount3" "$path/$name"
    done
done
exec "$@"
"""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--private", is_flag=True, help="As root: catch full paths, too. See above.")
@selection.user_option
@click.option("--json", "as_json", is_flag=True, help="A list of events, for programs.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def trace(*, private: bool, user: int | None, as_json: bool, command: tuple[str, ...]) -> None:
    r"""
    Run a FUSE program, and show how it calls its helper and what goes over their socket.

    Ends when COMMAND does, with its exit status. A program that starts /usr/bin/fusermount3 by its
    full path, as libfuse does, is caught only with --private: in a mount namespace of its own,
    where nobody else sees its mounts. Root runs COMMAND as another user with --user.

    \b
    Example:  fusermount-py trace -- bindfs ~/a ~/b
              sudo fusermount-py trace --private --user alice -- sshfs -f host: /home/alice/remote
    """
    if (private or user is not None) and os.getuid() != 0:
        raise click.UsageError("--private and --user are for root")
    helper = which_helper()[0]
    with tempfile.TemporaryDirectory(prefix="fusermount-py-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103  # the traced user must get in
        real = os.path.join(folder, "helper") if private else helper
        with _prepare(folder, real) as events:
            words = _as_user(user) + list(command)
            if private:
                unshare = ["unshare", "--mount", "--propagation", "private"]
                words = [*unshare, "sh", "-c", _PRIVATELY, "trace", folder, helper, *words]
            path = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])
            tellers = {os.getuid(), user, 0}
            variables = {**os.environ, "PATH": path}
            status = _run(words, variables, events, tellers, as_json=as_json)
    raise SystemExit(status)


def _prepare(folder: str, real: str) -> socket.socket:
    """Relays by the helper's names, and the socket that they tell their events."""
    log = os.path.join(folder, "log")
    code = shutil.copy(relay.__file__, os.path.join(folder, "relay.py"))
    python = os.path.realpath(sys.executable)
    start = shlex.join([python, "-I", "-S", "-B", code, real, log])
    for name in _NAMES:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f'#!/bin/sh\nexec {start} "${{0##*/}}" "$@"\n')
        os.chmod(path, 0o755)  # noqa: S103  # a program for the traced user
    events = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    events.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    events.bind(log)
    os.chmod(log, 0o666)  # noqa: S103  # the traced user must reach it; who else does is not heard
    return events


def _as_user(user: int | None) -> list[str]:
    """As a login would: with the user's own groups and no others."""
    if user is None:
        return []
    account = users.account_of(user)
    groups = ",".join(map(str, account.groups))
    return [
        "setpriv",
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        f"--groups={groups}" if groups else "--clear-groups",
        "--inh-caps=-all",
        "--",
    ]


def _run(
    words: list[str],
    variables: dict[str, str],
    events: socket.socket,
    tellers: set[int | None],
    *,
    as_json: bool,
) -> int:
    start = time.monotonic()
    try:
        process = subprocess.Popen(words, env=variables)  # noqa: S603  # what we are asked to run
    except OSError as error:
        raise click.ClickException(f"{words[0]}: {error.strerror}") from error
    story = Story(start, as_json=as_json)
    for event in _listen(process, events, tellers):
        story.tell(event)
    story.end(process.returncode)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _listen(
    process: "subprocess.Popen[bytes]", events: socket.socket, tellers: set[int | None]
) -> Iterator[Event]:
    """Every event of theirs, until the command has ended and nothing is left to read."""
    end = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(events, select.POLLIN)
    poll.register(end, select.POLLIN)
    kept = 0
    deadline = None
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if end in ready and deadline is None:
            process.wait()
            deadline = time.monotonic() + _LAST_SECONDS
        if events.fileno() not in ready or (deadline is not None and time.monotonic() > deadline):
            os.close(end)
            return
        datagram, pid, uid = _receive(events)
        event = relayed.parse(datagram, pid) if uid in tellers else None
        if event is not None and kept < _MOST_BYTES:
            kept += len(datagram)
            yield event
            if kept >= _MOST_BYTES:
                screen.complain("that is as much as is told")


def _receive(events: socket.socket) -> tuple[bytes, int, int]:
    """A datagram, and pid and uid of its sender by the kernel's word."""
    space = socket.CMSG_SPACE(_CREDENTIALS.size)
    datagram, control, _, _ = events.recvmsg(_EVENT_BYTES, space)
    for level, kind, content in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid, uid, _ = _CREDENTIALS.unpack(content)
            return datagram, pid, uid
    return b"", 0, -1
