"""
Entry: argv, environment -> one request -> one exit status. The only print, the only exit.

The exit status is 0 or 1. On success stderr stays empty; on failure it has one line, prefixed with
argv[0] as the caller gave it. Nothing that happens to the message changes the outcome.
"""

import _signal  # type: ignore[import-not-found]  # signal: 4 ms
import _thread
import errno
import posix
import select

from fusermount_py.helper.errors import HelperError
from fusermount_py.helper.kernel import privilege
from fusermount_py.helper.kernel.seats import open_seats
from fusermount_py.helper.request import (
    Features,
    GuardRequest,
    Help,
    MountRequest,
    Request,
    UnmountRequest,
    Version,
    parse,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from fusermount_py.helper.kernel.audit_trail import AuditTrail
    from fusermount_py.helper.kernel.comm import Comm
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.kernel.seats import Seats
    from fusermount_py.helper.scribe import Scribe

_UTAB = "/run/mount/utab"
_STDOUT, _STDERR = 1, 2
_MESSAGE_SECONDS = 1.0
_FROM_HERE = 1  # linux/fs.h: SEEK_CUR, which posix lacks
_PIPE_BUF = 4096  # poll says writable when at least so much can be written without waiting


def main(arguments: list[str], *, fuse_conf: str, helper: str, guard: str) -> "NoReturn":
    """
    ``arguments``: argv[0] as the caller gave it, then the caller's own.

    ``fuse_conf``, ``helper`` and ``guard`` are paths, fixed when the helper was installed.
    """
    # Python would turn SIGINT into an exception in the middle of whatever is going on. The launcher
    # has blocked it until here; one that came meanwhile ends us now.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGINT,))
    variables = {_text(name): _text(value) for name, value in posix.environ.items()}
    program = Program(arguments[0], variables, fuse_conf, helper, guard)
    status = 1
    try:
        status = program.run(arguments[1:])
    finally:  # what not even _fail() could say is a status, too, and no traceback
        # Not sys.exit: it would flush, run down the interpreter and wait for a blocked thread.
        posix._exit(status)  # noqa: SLF001  # the name of the system call


class Program:
    """One run: what it was called with, and by which socket the client hears of it."""

    __slots__ = (
        "_argv0", "_caller", "_comm", "_conf_path", "_guard", "_helper", "_quiet", "_request",
        "_scribe", "_trail", "_variables",
    )  # fmt: skip

    def __init__(
        self, argv0: str, variables: dict[str, str], conf_path: str, helper: str, guard: str
    ) -> None:
        self._argv0 = argv0
        self._caller: Caller | None = None
        self._variables = variables
        self._conf_path = conf_path
        self._helper = helper
        self._guard = guard
        self._comm: Comm | None = None
        self._quiet = False
        self._request: Request | None = None
        self._scribe: Scribe | None = None
        self._trail: AuditTrail | None = None

    def run(self, arguments: list[str]) -> int:
        """Do what is asked and return the exit status."""
        try:
            return self._obey(arguments)
        except HelperError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # a bug of ours: its name, never a traceback
            words = raised.strerror if isinstance(raised, OSError) else type(raised).__name__
            error = HelperError(f"internal error: {words}", errno.EIO, "mount")
        return self._fail(error)

    def _obey(self, arguments: list[str]) -> int:
        # As root: nobody else may hold a seat, or write util-linux's table. Everything else is
        # done as the caller.
        seats = open_seats()
        self._scribe = _start_scribe(arguments)
        caller = privilege.become_caller()
        self._caller = caller
        self._request = parse(arguments, self._variables)
        return self._answer(self._request, caller, seats)

    def _answer(self, request: Request, caller: "Caller", seats: "Seats | None") -> int:
        if isinstance(request, Help | Version | Features):
            from fusermount_py.helper.answers import answer

            status, words = answer(request, self._argv0)
            _say(_STDOUT, words)
            return status
        if isinstance(request, UnmountRequest):
            self._quiet = request.quiet
            self._unmount(request, caller)
        elif isinstance(request, GuardRequest):
            self._guard_existing(request, caller)
        else:
            self._mount(request, caller, seats)
        return 0

    # Each flow is imported where it begins: an unmount does not pay for what a mount needs.

    def _mount(self, request: MountRequest, caller: "Caller", seats: "Seats | None") -> None:
        from fusermount_py.helper.kernel.audit_trail import AuditTrail
        from fusermount_py.helper.kernel.comm import adopt
        from fusermount_py.helper.kernel.patience import Patience
        from fusermount_py.helper.mount import Surroundings, mount

        trail = self._trail = AuditTrail(caller)
        self._comm = adopt(request.comm_fd)
        around = Surroundings(
            caller,
            self._conf_path,
            self._helper,
            seats,
            trail,
            Patience(request.proceed_seconds, self._out_of_patience),
            self._warn,
        )
        mounted = mount(request, self._comm, around)
        privilege.give_up(caller)
        if self._scribe is not None:
            self._scribe.record(mounted.descriptor, mounted.prepared.options.for_utab)
        if mounted.prepared.options.auto_unmount and self._comm is not None:
            from fusermount_py.helper import auto_unmount

            path = mounted.prepared.mountpoint.path
            guard = auto_unmount.Guard(self._guard, self._helper, self._argv0)
            auto_unmount.become_guard(mounted.descriptor, path, self._comm, caller, guard)

    def _guard_existing(self, request: GuardRequest, caller: "Caller") -> None:
        from fusermount_py.helper import auto_unmount
        from fusermount_py.helper.kernel.comm import adopt
        from fusermount_py.helper.kernel.patience import Patience

        self._comm = adopt(request.comm_fd)
        guard = auto_unmount.Guard(self._guard, self._helper, self._argv0)
        patience = Patience(request.lookup_seconds, self._out_of_patience)
        auto_unmount.guard_existing(request, self._comm, caller, guard, patience)

    def _unmount(self, request: UnmountRequest, caller: "Caller") -> None:
        from fusermount_py.helper.kernel.audit_trail import AuditTrail
        from fusermount_py.helper.kernel.patience import Patience
        from fusermount_py.helper.unmount import unmount

        trail = self._trail = AuditTrail(caller)
        privilege.seal()
        patience = Patience(request.lookup_seconds, self._out_of_patience)
        if request.dead_mount is None:
            unmount(request, caller, self._helper, self._scribe, trail)
        else:
            from fusermount_py.helper.auto_unmount import unmount_dead

            unmount_dead(request, caller, request.dead_mount, self._scribe, trail)
        patience.end()
        if self._scribe is not None:
            self._scribe.finish()

    def _warn(self, message: str) -> None:
        _say(_STDERR, f"{self._argv0}: {_one_line(message)}\n")

    def _fail(self, error: HelperError) -> int:
        """Whatever else goes wrong in telling it, the sentence is said and the exit status is 1."""
        if self._caller is None and not privilege.leave_root():
            return 1
        try:
            self._record_refusal(error)
            from fusermount_py.helper import failure

            failure.tell(error, self._comm, self._variables)
        except Exception:  # noqa: BLE001, S110  # a bug of ours; what failed first is what counts
            pass
        # Last, because whoever does not read stderr must not keep the client from its answer.
        if not self._quiet:
            self._warn(error.message)
        return 1

    def _record_refusal(self, error: HelperError) -> None:
        """With the open trail, where there is one: it needs no descriptor any more."""
        if self._caller is None:
            return
        if self._trail is None:
            from fusermount_py.helper.kernel.audit_trail import AuditTrail

            self._trail = AuditTrail(self._caller)
        if isinstance(self._request, (MountRequest, UnmountRequest, GuardRequest)):
            self._trail.refused(self._request.what, self._request.mountpoint, error)
        else:
            self._trail.refused("request", None, error)

    def _out_of_patience(self) -> None:
        """A file system does not answer; what waits for it may never return, so end without it."""
        sentence = "the file system at the mountpoint, or on the way to it, does not answer"
        try:
            self._fail(HelperError(sentence, errno.ETIMEDOUT, "mountpoint"))
            if self._comm is not None:
                self._comm.hang_up()
        finally:
            posix._exit(1)  # noqa: SLF001  # the name of the system call


def _start_scribe(arguments: list[str]) -> "Scribe | None":
    """The scribe, if util-linux's table may get or lose a line; it costs the others no import."""
    try:
        size = posix.stat(_UTAB).st_size
    except OSError:
        return None  # no table means that none is wanted
    # Not parsed, which is for later, as the caller: a scribe that nobody asks ends with us.
    mounts = any("x-" in word for word in arguments)
    unmounts = any(word.startswith("-") and "u" in word for word in arguments)
    if not (mounts or (unmounts and size)):
        return None
    from fusermount_py.helper import scribe

    return scribe.start()


def _say(descriptor: int, text: str) -> None:
    """Write as much as the other side takes; who does not read within a second misses the rest."""
    message = text.encode("utf-8", "surrogateescape")
    try:
        posix.lseek(descriptor, 0, _FROM_HERE)
    except OSError:  # a pipe, a socket, a terminal: what poll says of it is true
        _write_patiently(descriptor, message)
        return
    # A file may lie on a file system that does not answer, even to be asked what it is. And
    # before Linux 6.9 a write to an eventfd may block although poll promised otherwise.
    written = _thread.allocate_lock()
    written.acquire()

    def write() -> None:
        _write_patiently(descriptor, message)
        written.release()

    try:
        _thread.start_new_thread(write, ())
    except RuntimeError:  # the caller is at its process limit
        write()
    written.acquire(timeout=_MESSAGE_SECONDS)


def _write_patiently(descriptor: int, message: bytes) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    try:
        while message and poll.poll(_MESSAGE_SECONDS * 1000):
            message = message[posix.write(descriptor, message[:_PIPE_BUF]) :]
    except OSError:
        pass  # nothing that happens to a message changes the outcome


def _one_line(message: str) -> str:
    """Control characters of a path become octal, as the mount table shows them."""
    return "".join(f"\\{ord(c):03o}" if c < " " or c == "\x7f" else c for c in message)


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
