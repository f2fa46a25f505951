"""
Taking mounts down: through the helper, or, for root, exactly the mount that was judged.

Whoever owns the directory above may exchange what stands in it, from a mount namespace that is
older than the mounts; and the number of a mount that has gone is the next one's. Root's way is
therefore a descriptor, compared with all that the table has said, and never a name.
"""

import errno
import os
import subprocess
from dataclasses import dataclass

from fusermount_py.admin import aside, users_of_mount
from fusermount_py.admin.same_mount import is_still_there
from fusermount_py.admin.states import ALIVE, DEAD, HUNG, UNKNOWN
from fusermount_py.admin.which_helper import which_helper
from fusermount_py.helper import utab_record
from fusermount_py.helper.kernel import mount_table, utab
from fusermount_py.helper.mount_entry import MountEntry

_HELPER_SECONDS = 10.0
_TABLE_SECONDS = 4.0  # for util-linux's table, whose lock anybody may hold
_REASONS = {
    ALIVE: "{} answers: it is not dead",
    HUNG: "{} does not answer: it may be hung, but is not dead",
    UNKNOWN: "{} cannot be reached by this path",
    aside.NOT_ON_TOP: "{} is covered by another mount",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mount is still there; ``is_busy``: something uses it."""

    sentence: str
    is_busy: bool = False


def unmount(entry: MountEntry, *, lazy: bool) -> Failure | None:
    """
    Let the helper unmount this mount, as this user; root takes it itself. None if it is gone.

    A descriptor of a mount is a use of it, so that the kernel would call each mount busy: whether
    root's is, /proc must say, and then it is detached.
    """
    if os.getuid() != 0:
        words = ["--unmount", *(["--lazy"] if lazy else []), "--"]
        return _run_helper(*words, entry.mountpoint)
    if not lazy and users_of_mount.is_used(entry):
        busy = os.strerror(errno.EBUSY)
        return Failure(f"failed to unmount {entry.mountpoint}: {busy}", is_busy=True)
    try:
        answer = aside.take(entry)
    except OSError as error:
        reason = error.strerror or "it does not answer"
        return Failure(f"{entry.mountpoint} cannot be reached: {reason}")
    if answer != aside.TAKEN:
        return Failure(_REASONS[UNKNOWN].format(entry.mountpoint))
    _forget(entry)
    return None


def take_dead(entry: MountEntry) -> Failure | None:
    """
    Unmount this very mount if it is still there and dead; None if it is gone afterwards.

    Another user's than root goes through the helper, which knows the mount by its number and asks
    it once more; a helper without that verb is told the path.
    """
    failure = None
    if os.getuid() == 0:
        answer = aside.take_dead(entry)
        if answer == aside.TAKEN:
            _forget(entry)
    else:
        answer = aside.ask(entry)
        if answer == DEAD:
            exact = f"--dead-mount={entry.id}"
            failure = _run_helper("--unmount", "--lazy", exact, "--", entry.mountpoint)
            if failure is not None and "dead-mount" in failure.sentence:
                failure = unmount(entry, lazy=True)
    if not is_still_there(entry):
        return None
    reason = _REASONS.get(answer, "{} is still mounted")
    return failure or Failure(reason.format(entry.mountpoint))


def _forget(entry: MountEntry) -> None:
    """Its record in util-linux's table goes as well, as when the helper has taken it."""
    try:
        records = map(utab_record.parse, reversed(utab.lines()))
    except OSError:
        return  # there is no such table
    last = next((record for record in records if record.target == entry.mountpoint), None)
    if utab_record.is_left_by(last, entry, mount_table.entries()):
        utab.erase(entry.mountpoint, _TABLE_SECONDS)


def _run_helper(*arguments: str) -> Failure | None:
    try:
        program, *words = which_helper()
        process = subprocess.Popen(  # noqa: S603  # the helper on PATH, as libfuse would start it
            [*words, *arguments],
            executable=program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, stderr = process.communicate(timeout=_HELPER_SECONDS)
    except subprocess.TimeoutExpired:
        # Not waited for: where it waits for a server, SIGKILL does not end it.
        process.kill()
        return Failure(f"the helper did not come back within {_HELPER_SECONDS:g} seconds")
    except OSError as error:
        return Failure(str(error))
    if process.returncode == 0:
        return None
    sentence = os.fsdecode(stderr).partition("\n")[0].partition(": ")[2]
    is_busy = sentence.endswith(os.strerror(errno.EBUSY))
    return Failure(sentence or "the helper failed without a word", is_busy)
