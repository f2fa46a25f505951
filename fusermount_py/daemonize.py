"""
Become a background server in two phases, so that whoever started it learns how that went.

    parent (shell, mount(8))                 child (the server)
      start() ---- fork ---------------------> new session, stdin from /dev/null
        |  waits for the verdict               mounts, answers FUSE_INIT
        | <---------------- success() -------  once both are true
      exit 0                                   stdout and stderr to /dev/null, serves

      exit N with a message <--- fail(N) ---   or it dies: exit 1
      killed ------------------------------->  undoes its mounts, ends

    daemonize.start()
    try:
        ...                                    # set_mounted() and set_got_init() are called by
        daemonize.success()                    # client.Prepared.proceed() and by the server's INIT
    except OSError as error:
        daemonize.fail(1, f"myfs: {error}")
        raise SystemExit(1)

start() comes before the first thread, success() both after the mount and in the INIT handler: the
later of the two tells. With $NOTIFY_SOCKET set (a Type=notify unit of systemd) the service manager
is told too. Errors are exceptions with an errno.
"""

from __future__ import annotations

import errno
import os
import select
import threading

from fusermount_py import stdio, verdict
from fusermount_py.service_manager import tell_service_manager

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable

NO_CHDIR = 1
"""start(): stay in the current directory."""
NO_BACKGROUND = 2
"""start(): do not fork; there is no parent to tell, and output stays where it is."""
NO_REDIRECT = 4
"""success(): leave stdout and stderr alone, for a service manager that collects them."""


class _Startup:
    """What is known about this process's start, and the pipes to the waiting parent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.used = False
        self.legacy = False
        self.flags = 0
        self.mounted = False
        self.got_init = False
        self.decided = False
        self.pipe = -1  # we write the verdict, the parent reads it
        self.stop = -1  # closing it ends the watcher
        self.watcher: threading.Thread | None = None
        self.undo: list[Callable[[], object]] = []


_startup = _Startup()


def start(flags: int = 0) -> None:
    """
    Fork, and return in the child only; the parent waits for its verdict and exits with it.

    ``flags``: NO_CHDIR, NO_BACKGROUND, NO_REDIRECT or'ed. Called again it does nothing. Raises
    OSError when the process cannot be forked, or daemonize() was called before.
    """
    if _startup.legacy:
        raise OSError(errno.EBUSY, "daemonize() has been called already")
    if _startup.used:
        return
    if not flags & NO_BACKGROUND:
        _fork()
    _startup.used = True
    _startup.flags = flags
    if not flags & NO_CHDIR:
        os.chdir("/")


def set_mounted() -> None:
    """The file system is mounted; client.Prepared.proceed() says so by itself."""
    _startup.mounted = True


def set_got_init() -> None:
    """FUSE_INIT has been answered."""
    _startup.got_init = True


def at_parents_death(undo: Callable[[], object]) -> None:
    """Have this called, from the watcher's thread, if the parent dies before the verdict."""
    _startup.undo.append(undo)


def success() -> None:
    """
    Tell the parent that the file system is up, as soon as it is mounted and has answered INIT.

    May be called from any thread, any number of times, and without start().
    """
    with _startup.lock:
        if _startup.decided or not (_startup.mounted and _startup.got_init):
            return
        _startup.decided = True
        forked = _startup.pipe >= 0
        if forked and not _startup.flags & NO_REDIRECT:
            stdio.flush()
            stdio.to_null(1, 2)
        tell_service_manager(f"READY=1\nMAINPID={os.getpid()}")
        _tell(0, "")


def fail(err: int, message: str | None = None) -> None:
    """
    Tell the parent to print a message and to exit with ``err``; then this process shall end, too.

    ``err`` is an exit status; what cannot be one counts as 1. Without a parent the message is
    printed here. Nothing happens after success() has told.
    """
    with _startup.lock:
        if _startup.decided:
            return
        _startup.decided = True
        status = err if 0 < err <= 255 else 1  # all that wait(2) can carry
        text = message or ""
        tell_service_manager(f"STATUS={text.replace(chr(10), ' ')}\nERRNO={status}")
        if _startup.pipe >= 0:
            _tell(status, text)
        elif text:
            stdio.say(text)


def is_active() -> bool:
    """Whether start() was used and the verdict is still to come."""
    return _startup.used and not _startup.decided


def is_used() -> bool:
    """Whether start() was used."""
    return _startup.used


def daemonize(foreground: bool) -> None:  # libfuse's one argument
    """
    Go to the background at once, in the old way: nobody learns what goes wrong afterwards.

    Raises OSError (EBUSY) when start() is in use, which does this better.
    """
    if _startup.used:
        raise OSError(errno.EBUSY, "daemonize.start() is in use")
    _startup.legacy = True
    if not foreground:
        _fork(watch=False)
        stdio.flush()
        stdio.to_null(1, 2)
    os.chdir("/")
    if not foreground:
        _tell(0, "")


def _fork(*, watch: bool = True) -> None:
    """Return in the child, a session of its own with a pipe to its parent."""
    stdio.flush()
    reader, writer = stdio.pipe()
    life_reader, life_writer = stdio.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.close(life_reader)
        verdict.await_and_exit(child, reader)
    os.close(reader)
    os.close(life_writer)
    os.setsid()
    stdio.to_null(0)
    _startup.pipe = writer
    if watch:
        stop_reader, _startup.stop = stdio.pipe()
        _startup.watcher = threading.Thread(
            target=_watch, args=(life_reader, stop_reader), name="daemonize", daemon=True
        )
        _startup.watcher.start()
    else:
        os.close(life_reader)


def _tell(status: int, message: str) -> None:
    """Send the verdict if somebody waits for it, and close every pipe."""
    if _startup.pipe >= 0:
        verdict.send(_startup.pipe, status, message)
        os.close(_startup.pipe)
        _startup.pipe = -1
    if _startup.stop >= 0:
        os.close(_startup.stop)
        _startup.stop = -1
    if _startup.watcher not in (None, threading.current_thread()):
        _startup.watcher.join()
        _startup.watcher = None
    _startup.undo.clear()


def _watch(life: int, stop: int) -> None:
    """The watcher's thread: if the parent is gone before the verdict, undo and end."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(stop, select.POLLIN)
    poll.poll()
    os.close(life)
    os.close(stop)
    if _startup.decided:
        return  # and so the parent has gone as it should
    for undo in reversed(_startup.undo):
        try:
            undo()
        except Exception:  # noqa: BLE001, S112  # the others are still to be undone
            continue
    os._exit(1)
