"""
Work that may wait for a FUSE server: in a process of its own, which is given up when it is late.

Whoever has asked a server that has read the request and does not answer sleeps until the connection
ends: SIGKILL does not wake it. As a thread it would keep this process from ending, and whoever
started it from going on. So it is a child; nobody waits for it without a clock, it holds no
descriptor of ours, and how many may be left behind is bounded.
"""

import json
import os
import select
import signal
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_GRACE_SECONDS = 0.3  # for the kernel's clock to have ended what can be ended
_ANSWER_BYTES = 4096  # PIPE_BUF: written and read as one
_MOST_LEFT = 64  # then nothing more is asked; the mounts that are stuck are to be aborted first

_left: dict[int, object] = {}  # a pipe whose other end is held by who is left behind: the account
_ended: set[int] = set()  # children that are done, or will be
_is_child = False


def apart(work: Callable[[], Answer], seconds: float, account: object = None) -> Answer:
    """
    What ``work`` returns, which JSON must know. Raises the OSError that it raised, TimeoutError.

    Within ``work`` this may be called again; whoever is then left behind is on this account, too.
    """
    if left() >= _MOST_LEFT:
        raise TimeoutError
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(work, seconds, writer)
    os.close(writer)
    _ended.add(child)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    said = os.read(reader, _ANSWER_BYTES) if poll.poll((seconds + _GRACE_SECONDS) * 1000) else b""
    _left[reader] = account
    left()
    if not said:
        raise TimeoutError
    kind, *content = json.loads(said)
    if kind == "failed":
        raise OSError(*content)
    answer: Answer = content[0]
    return answer


def left(belongs: Callable[[object], bool] = lambda _: True) -> int:
    """How many still wait for a server on accounts that ``belongs`` says."""
    for reader in list(_left):
        poll = select.poll()
        poll.register(reader, 0)  # an end of file alone: nobody holds the other end any more
        if poll.poll(0):
            os.close(reader)
            del _left[reader]
    for child in list(_ended):
        if _has_ended(child):
            _ended.remove(child)
    return sum(map(belongs, _left.values()))


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True  # SIGCHLD is ignored, or somebody else has waited for it


def _be_child(work: Callable[[], object], seconds: float, writer: int) -> None:
    """Never returns."""
    global _is_child  # noqa: PLW0603  # what is true of this process from here on
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _ended.clear()
        if not _is_child:
            # Who reads what we write would wait for the end of one that is left behind.
            writer = os.dup2(writer, 0)
            os.closerange(1, os.sysconf("SC_OPEN_MAX"))
            _left.clear()
            _is_child = True
        try:
            said = ["did", work()]
        except OSError as error:
            said = ["failed", error.errno, error.strerror]
        os.write(writer, json.dumps(said).encode("ascii"))
    finally:
        os._exit(0)
