"""
What goes wrong with a mount, as exceptions: MountError and its kinds.

A helper with a report says errno, step and sentence itself; any other says a sentence on stderr,
and what it means is read from its words, which are fixed: callers have matched them for years.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # typing: 10 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

_SENTENCE_CHARACTERS = 1000  # a path may be long; what is longer is no sentence
_POLICY_STEPS = frozenset(("arguments", "permission", "options"))
_POLICY_WORDS = (
    "not owned by user",
    "has no write access to mountpoint",
    "is not a directory or a regular file",
    "mounting over filesystem type",
    "only allowed if 'user_allow_other'",
    "unknown option",
    "invalid option",
    "is privileged",
    "too many FUSE filesystems",
    "not found in /etc/mtab",
)


class MountError(OSError):
    """
    The file system is not mounted (or not unmounted), and nothing is left behind.

    errno:    why, as a number; EIO where nobody said.
    step:     where it stopped: one of the helper's (arguments, device, mountpoint, permission,
              options, configure, send, proceed, create, mount, attach) or one of ours: spawn (the
              helper could not be started), receive (it did not answer as agreed), sync-init (the
              kernel cannot arm it and it was required), workers (a worker failed or never came),
              abandoned (the mount was given up by this process), unmount.
    message:  one sentence, the helper's own where it said one.
    kernel:   the kernel's own lines about the mount, oldest first.
    """

    # step has a default so that pickle can make one; it then fills in the rest.
    def __init__(
        self, number: int, message: str, *, step: str = "", kernel: Iterable[str] = ()
    ) -> None:
        super().__init__(number, message)
        self.step = step
        self.message = message
        self.kernel = tuple(kernel)

    def __str__(self) -> str:
        lines = "".join(f" [{line}]" for line in self.kernel if line not in self.message)
        return f"{self.message}{lines}"


class MountRefused(MountError):
    """Policy said no: fuse.conf, the mountpoint's owner, an option this user may not give."""


class HelperNotFound(MountError):
    """There is no fusermount3 to ask, and this process may not mount by itself."""


class MountTimeout(MountError):
    """Somebody did not answer in time: the workers, the helper, or the server's INIT."""


def from_report(number: int, step: str, message: str, kernel: Iterable[str]) -> MountError:
    """The exception for a helper's report."""
    if step in _POLICY_STEPS or _is_policy(message):
        return MountRefused(number, message, step=step, kernel=kernel)
    kind = MountTimeout if number == errno.ETIMEDOUT else MountError
    return kind(number, message, step=step, kernel=kernel)


def from_stderr(said: bytes, *, step: str, otherwise: str, number: int = 0) -> MountError:
    """
    The exception for a helper that only has stderr.

    ``otherwise`` is our sentence if it said nothing; ``number`` an errno that is known already.
    """
    lines = said.decode("utf-8", "replace").splitlines()
    # Warnings about fuse.conf come first, the reason for the failure last; the C helper of 3.19
    # prints the kernel's lines below its own sentence, in brackets or with a severity letter.
    kernel = [line.strip("[] ") for line in lines if line.startswith(("[", " ["))]
    spoken = [line for line in lines if line.strip() and not line.startswith(("[", " ["))]
    message = spoken[-1].partition(": ")[2] or spoken[-1] if spoken else otherwise
    message = message[-_SENTENCE_CHARACTERS:]
    number = number or _errno_named(message)
    if _is_policy(message):
        return MountRefused(number or errno.EPERM, message, step=step, kernel=kernel)
    kind = MountTimeout if number == errno.ETIMEDOUT else MountError
    return kind(number or errno.EIO, message, step=step, kernel=kernel)


def _is_policy(message: str) -> bool:
    return any(words in message for words in _POLICY_WORDS)


def _errno_named(message: str) -> int:
    """The errno whose words (strerror) end the sentence, 0 if none does."""
    last = message.rpartition(": ")[2]
    for number in errno.errorcode:
        if os.strerror(number) == last:
            return number
    return 0
