"""Taking mounts down: through the helper, or, for root, exactly the mount that was found dead."""

import errno
import os
import subprocess
from dataclasses import dataclass

from fusermount_py.admin import aside
from fusermount_py.admin.states import ALIVE, DEAD, HUNG, UNKNOWN
from fusermount_py.client.find_helper import find_helper
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


def unmount(mountpoint: str, *, lazy: bool) -> Failure | None:
    """Let the helper unmount what is on top at this path, as this user. None if it did."""
    words = ["--lazy"] if lazy else []
    return _run_helper("--unmount", *words, "--", mountpoint)


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
                failure = unmount(entry.mountpoint, lazy=True)
    if all(entry.id != other.id for other in mount_table.entries()):
        return None
    reason = _REASONS.get(answer, "{} is still mounted")
    return failure or Failure(reason.format(entry.mountpoint))


def _detach(mount: int) -> str:
    syscalls.umount2(f"/proc/self/fd/{mount}".encode(), MNT_DETACH)
    return aside.TAKEN


def _run_helper(*arguments: str) -> Failure | None:
    try:
        program, *words = find_helper()
        result = subprocess.run(  # noqa: S603  # the helper on PATH, as libfuse would start it
            [*words, *arguments],
            executable=program,
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
