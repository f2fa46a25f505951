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
import struct
import sys
import threading

from fusermount_py import stdio

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

NO_CHDIR = 1
"""start(): stay in the current directory."""
NO_BACKGROUND = 2
"""start(): do not fork; there is no parent to tell, and output stays where it is."""
NO_REDIRECT = 4
"""success(): leave stdout and stderr alone, for a service manager that collects them."""

_VERDICT = struct.Struct("=BH")  # exit status, length of the message that follows
_MESSAGE_BYTES = select.PIPE_BUF - _VERDICT.size  # written at once, or not at all


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
        self.verdict = -1  # we write, the parent reads
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
        forked = _startup.verdict >= 0
        if forked and not _startup.flags & NO_REDIRECT:
            _flush()
            stdio.to_null(1, 2)
        _notify(f"READY=1\nMAINPID={os.getpid()}")
        _tell(0, b"")


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
        _notify(f"STATUS={text.replace(chr(10), ' ')}\nERRNO={status}")
        if _startup.verdict >= 0:
            _tell(status, text.encode("utf-8", "surrogateescape")[:_MESSAGE_BYTES])
        elif text:
            _say(text)


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
        _flush()
        stdio.to_null(1, 2)
    os.chdir("/")
    if not foreground:
        _tell(0, b"")


def _fork(*, watch: bool = True) -> None:
    """Return in the child, a session of its own with a pipe to its parent."""
    _flush()
    verdict_reader, verdict_writer = stdio.pipe()
    life_reader, life_writer = stdio.pipe()
    child = os.fork()
    if child:
        os.close(verdict_writer)
        os.close(life_reader)
        _await_verdict(child, verdict_reader)
    os.close(verdict_reader)
    os.close(life_writer)
    os.setsid()
    stdio.to_null(0)
    _startup.verdict = verdict_writer
    if watch:
        stop_reader, _startup.stop = stdio.pipe()
        _startup.watcher = threading.Thread(
            target=_watch, args=(life_reader, stop_reader), name="daemonize", daemon=True
        )
        _startup.watcher.start()
    else:
        os.close(life_reader)


def _await_verdict(child: int, reader: int) -> NoReturn:
    """The parent's whole life after the fork: pass on how the child's start went."""
    try:
        verdict = _read_verdict(child, reader)
    except KeyboardInterrupt:
        os._exit(128 + 2)  # as a shell reports SIGINT; the child sees us go
    if len(verdict) < _VERDICT.size:
        program = os.path.basename(sys.argv[0]) or "daemonize"
        _say(f"{program}: the server ended before it was ready{_how(child)}")
        os._exit(1)
    status, length = _VERDICT.unpack_from(verdict)
    if length:
        message = verdict[_VERDICT.size : _VERDICT.size + length]
        _say(message.decode("utf-8", "backslashreplace"))
    os._exit(status)


def _read_verdict(child: int, reader: int) -> bytes:
    """The child's verdict; less than one if it died, whoever else may hold the pipe open."""
    pidfd = os.pidfd_open(child)
    os.set_blocking(reader, False)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        try:
            return os.read(reader, select.PIPE_BUF)
        except BlockingIOError:
            if pidfd in ready:
                return b""


def _how(child: int) -> str:
    """How a child ended, in brackets; it has closed the pipe and may need a moment to end."""
    poll = select.poll()
    poll.register(os.pidfd_open(child), select.POLLIN)
    poll.poll(1000)
    pid, status = os.waitpid(child, os.WNOHANG)
    if not pid:
        return ""
    if os.WIFSIGNALED(status):
        return f" (killed by signal {os.WTERMSIG(status)})"
    return f" (exit status {os.WEXITSTATUS(status)})"


def _tell(status: int, message: bytes) -> None:
    """Send the verdict if somebody waits for it, and close every pipe."""
    if _startup.verdict >= 0:
        try:  # noqa: SIM105  # contextlib: 4 ms
            os.write(_startup.verdict, _VERDICT.pack(status, len(message)) + message)
        except BrokenPipeError:
            pass  # the parent has just died: too late to undo anything
        os.close(_startup.verdict)
        _startup.verdict = -1
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


def _notify(state: str) -> None:
    """Send a datagram to the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    import _socket  # socket: 7 ms

    path = os.fsencode(address.replace("@", "\0", 1) if address[0] == "@" else address)
    notifier = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        notifier.sendto(os.fsencode(state), _socket.MSG_NOSIGNAL, path)
    except OSError:
        return  # the file system is up all the same
    finally:
        notifier.close()


def _say(message: str) -> None:
    """One line on stderr, if there is one."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"{message}\n")
        except (OSError, ValueError):
            return
        _flush()


def _flush() -> None:
    """Write out what Python holds back, or both processes would write it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
