"""
Flow: the scribe, who keeps util-linux's table true of our mounts (contract, section 10).

    while still root     start() -> a child; the helper goes on and becomes the caller
    after a mount        "ID x-..."  -> the mount's record is written
    before an unmount    "ID"        -> the mount is looked up; gone at end of file? record erased
    nothing, then exit   end of file -> the scribe exits

It is the only process of root's that outlives the drop, so it trusts its own eyes only: the real
uid it was forked with, and the mount table at the moment. All it takes from the helper are a mount
id and words that start with x-. Whoever had seized the helper could have such words recorded for a
FUSE mount that the caller has right now, or a record erased of one that the caller has just taken
down: both are the caller's to ask for anyway. Source and path are the mount table's. Nor has the
scribe root's powers: it is uid 0, who owns the table, without any capability.

Nobody waits for it without a clock, and a mount or unmount never fails for its record. Once
all is asked, the helper waits a moment, for callers who look at once, and leaves it to its work:
whoever holds the table's lock, which anybody may, keeps records back, and nothing else.
"""

import posix
import select

from fusermount_py.helper import permission, utab_record
from fusermount_py.helper.errors import HelperError
from fusermount_py.helper.kernel import mount_identity, mount_table, privilege, utab

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.kernel.privilege import Caller
    from fusermount_py.helper.mount_entry import Mount, MountEntry
    from fusermount_py.helper.utab_record import UtabRecord

_PROGRAM_SECONDS = 4.0  # what mount(8) gets; its work takes milliseconds, the rest waits for a lock
_SCRIBE_SECONDS = 5.0
_MOMENT = 0.25
_TABLE_MAX = 1 << 22  # bytes: more records than a machine has mounts, and it lies in memory
# cgroups(7): version 2, the same beside version 1, and version 1's freezer.
_CONTROL_GROUPS = tuple(
    f"/sys/fs/cgroup/{below}cgroup.procs" for below in ("", "unified/", "freezer/")
)
_KNOWN = b"k"
_QUESTION_MAX = 1 << 13  # a mount id, and no more options than are recordable


def start() -> "Scribe | None":
    """Fork the scribe, while this process is root; None where there can be none."""
    caller = privilege.Caller(posix.getuid(), posix.getgid())
    if posix.geteuid() != 0:
        return None
    try:
        asked, asking = posix.pipe2(posix.O_CLOEXEC)
        told, telling = posix.pipe2(posix.O_CLOEXEC)
        child = posix.fork()
    except OSError:
        return None
    if child:
        posix.close(asked)
        posix.close(telling)
        return Scribe(child, asking, told)
    try:
        _keep_only(asked, telling)
        privilege.become_scribe()
        _leave_the_callers_control_group()
        _serve(caller, asked, telling)
    finally:
        posix._exit(0)  # noqa: SLF001  # the name of the system call


class Scribe:
    """The helper's side. A scribe that fails or is late means that there is no record, no more."""

    __slots__ = ("_asking", "_child", "_told")

    def __init__(self, child: int, asking: int, told: int) -> None:
        self._child = child
        self._asking = asking
        self._told = told

    def record(self, mount: int, options: list[str]) -> None:
        """Have these options recorded for the mount that this fd is of; the last thing asked."""
        words = ",".join(utab_record.recordable(options))
        try:
            if words:
                self._ask(f"{mount_table.mount_id(mount)} {words}")
        except OSError:
            pass  # no descriptor left to read /proc with: the mount stands all the same
        self.finish()

    def watch(self, entry: "Mount | None") -> None:
        """Point at a mount that is about to be taken; returns when the scribe has looked at it."""
        if entry is not None:
            self._ask(f"{entry.id} ")
            self._hear(_SCRIBE_SECONDS)

    def finish(self) -> None:
        """Nothing more is asked, and what was asked for is done, or failed."""
        posix.close(self._asking)
        if self._hear(_MOMENT) == b"":
            try:  # noqa: SIM105  # contextlib: 4 ms
                posix.waitpid(self._child, 0)
            except ChildProcessError:
                pass  # SIGCHLD is ignored, where no launcher has reset it

    def _ask(self, question: str) -> None:
        try:
            # Short enough for an empty pipe to take it whole.
            posix.write(self._asking, question.encode("utf-8", "surrogateescape"))
        except OSError:
            return  # it is gone

    def _hear(self, seconds: float) -> bytes | None:
        """A byte; none at end of file; None when the time is over."""
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        return posix.read(self._told, 1) if poll.poll(seconds * 1000) else None


def _keep_only(asked: int, telling: int) -> None:
    """Out of the caller's terminal and pipes: whoever waits for these to close waits not for us."""
    posix.setsid()
    posix.chdir("/")
    null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    for standard in range(3):
        posix.dup2(null, standard)
    first, second = sorted((asked, telling))
    posix.closerange(3, first)
    posix.closerange(first + 1, second)
    posix.closerange(second + 1, 1 << 20)


def _leave_the_callers_control_group() -> None:
    """
    Whoever owns it could freeze us, or mount(8), with the table's lock in hand, or kill either.

    There is one scribe for a helper, and helpers are counted; it ends seconds after its helper.
    """
    for path in _CONTROL_GROUPS:
        try:
            group = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
            posix.write(group, b"0")
            posix.close(group)
        except OSError:
            continue  # not mounted, or in a container


def _serve(caller: "Caller", asked: int, telling: int) -> None:
    """One question, answered as the module's docstring says; anything unforeseen ends it."""
    number, _, words = posix.read(asked, _QUESTION_MAX).partition(b" ")
    entry = mount_table.entry_with_id(int(number))
    if entry is None or not _may_ask(entry, caller) or not utab_record.has_plain_source(entry):
        return
    if words:
        options = words.decode("utf-8", "surrogateescape").split(",")
        recordable = utab_record.recordable(options)
        # Records that a held lock kept from being erased stay until the machine starts anew.
        if recordable and posix.stat(utab.PATH).st_size < _TABLE_MAX:
            utab.write(entry.source, entry.mountpoint, recordable, _PROGRAM_SECONDS)
        return
    before = _last_record(entry.mountpoint)
    identified = _is_of(before, entry)
    posix.write(telling, _KNOWN)
    posix.read(asked, 1)  # end of file: the helper has taken the mount, or failed, or is dead
    record = _last_record(entry.mountpoint)
    if identified is None:
        is_left = utab_record.is_left_by(record, entry, mount_table.entries())
    else:
        is_left = identified and _is_left(before, record)
    if is_left:
        utab.erase(entry.mountpoint, _PROGRAM_SECONDS)


def _is_of(record: "UtabRecord | None", entry: "MountEntry") -> bool | None:
    """Whether the record's unique id is this mount's; None where there are only names to go by."""
    if record is None or record.unique_id is None:
        return None
    try:
        mount = mount_identity.mount_with_unique_id(record.unique_id)
    except (OSError, ValueError):
        return None
    return mount is not None and mount.id == entry.id


def _is_left(before: "UtabRecord | None", record: "UtabRecord | None") -> bool:
    """Whether the record is still its target's last, which umount(8) erases, and its mount gone."""
    if before is None or record is None or before.unique_id is None:
        return False
    is_same = record.unique_id == before.unique_id
    return is_same and mount_identity.mount_with_unique_id(before.unique_id) is None


def _may_ask(entry: "MountEntry", caller: "Caller") -> bool:
    if caller.is_root:
        return True
    try:
        permission.check_owner(entry, entry.mountpoint, caller)
    except HelperError:
        return False
    return True


def _last_record(mountpoint: str) -> "UtabRecord | None":
    """The one that umount(8) would erase for this mountpoint."""
    records = map(utab_record.parse, reversed(utab.lines()))
    return next((record for record in records if record.target == mountpoint), None)
