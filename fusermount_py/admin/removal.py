"""Taking mounts down: through the helper, or, for root, exactly the mount that was found dead."""

import errno
import os
import subprocess
from dataclasses import dataclass

from fusermount_py.admin import aside
from fusermount_py.admin.patience import in_time
from fusermount_py.admin.states import ALIVE, DEAD, HUNG, UNKNOWN
from fusermount_py.admin.which_helper import which_helper
from fusermount_py.helper.kernel import mount_table, syscalls
from fusermount_py.helper.kernel.constants import MNT_DETACH
from fusermount_py.helper.mount_entry import MountEntry

_HELPER_SECONDS = 10.0
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
    Let the helper unmount this mount, as this user. None if it did.

    From root it takes what is on top at a path, whosever that is. So root starts it in the parent
    directory, held open, which the mount's owner cannot swap for a link to another's meanwhile.
    """
    words = ["--unmount", *(["--lazy"] if lazy else []), "--"]
    if os.getuid() != 0:
        return _run_helper(*words, entry.mountpoint)
    parent, name = os.path.split(entry.mountpoint)
    try:
        directory = in_time(lambda: os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        return Failure(f"{parent} cannot be reached: {error.strerror or 'it does not answer'}")
    try:
        if not _is_on_top(entry, directory, name):
            return Failure(_REASONS[UNKNOWN].format(entry.mountpoint))
        return _run_helper(*words, name, folder=f"/proc/self/fd/{directory}")
    finally:
        os.close(directory)


def _is_on_top(entry: MountEntry, directory: int, name: str) -> bool:
    try:
        mount = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    try:
        return mount_table.mount_id(mount) == entry.id
    finally:
        os.close(mount)


def take_dead(entry: MountEntry) -> Failure | None:
    """
    Unmount this very mount if it is still there and dead; None if it is gone afterwards.

    Root takes it by a descriptor. Another user's goes through the helper, which knows the mount by
    its number and asks it once more; a helper without that verb is told the path.
    """
    failure = None
    if os.getuid() == 0:
        answer = aside.ask(entry, then=_detach)
    else:
        answer = aside.ask(entry)
        if answer == DEAD:
            exact = f"--dead-mount={entry.id}"
            failure = _run_helper("--unmount", "--lazy", exact, "--", entry.mountpoint)
            if failure is not None and "dead-mount" in failure.sentence:
                failure = unmount(entry, lazy=True)
    if all(entry.id != other.id for other in mount_table.entries()):
        return None
    reason = _REASONS.get(answer, "{} is still mounted")
    return failure or Failure(reason.format(entry.mountpoint))


def _detach(mount: int) -> str:
    syscalls.umount2(f"/proc/self/fd/{mount}".encode(), MNT_DETACH)
    return aside.TAKEN


def _run_helper(*arguments: str, folder: str | None = None) -> Failure | None:
    try:
        program, *words = which_helper()
        result = subprocess.run(  # noqa: S603  # the helper on PATH, as libfuse would start it
            [*words, *arguments],
            executable=program,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Failure(f"the helper did not come back within {_HELPER_SECONDS:g} seconds")
    except OSError as error:
        return Failure(str(error))
    if result.returncode == 0:
        return None
    sentence = os.fsdecode(result.stderr).partition("\n")[0].partition(": ")[2]
    is_busy = sentence.endswith(os.strerror(errno.EBUSY))
    return Failure(sentence or "the helper failed without a word", is_busy)
