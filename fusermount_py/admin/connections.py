"""
FUSE connections as the kernel shows them in fusectl: /sys/fs/fuse/connections/<number>.

Each holds ``waiting`` and ``abort``, for root and for the user who mounted (fuse.rst, "Control
filesystem"). Reading and writing them asks no server. Often nobody has mounted fusectl, then all of
this is unknown.
"""

import os
from typing import Self

DIRECTORY = "/sys/fs/fuse/connections"
HOW_TO_MOUNT = f"mount -t fusectl fusectl {DIRECTORY}"
_MINOR_BITS = 20  # linux/kdev_t.h; a connection is called as its device: 0:N, but for fuseblk


def number_of(device: str) -> int:
    """The connection of a mount, from ``major:minor`` of its line in mountinfo."""
    major, _, minor = device.partition(":")
    return int(major) << _MINOR_BITS | int(minor)


def are_shown() -> bool:
    """Whether fusectl is mounted, or there is nothing that it could show."""
    try:
        return bool(os.listdir(DIRECTORY))
    except OSError:
        return False


def exists(connection: int) -> bool:
    """Whether the kernel shows this connection."""
    return os.path.isdir(f"{DIRECTORY}/{connection}")


def waiting(connection: int) -> int | None:
    """How many requests the server has not answered; None if we may not know."""
    try:
        with open(f"{DIRECTORY}/{connection}/waiting", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


class Held:
    """
    A connection that may be aborted, held by what stood under its number. OSError if we may not.

    The number goes to the next connection, another user's say, as soon as this one has ended; what
    is held then means nothing any more. So hold it first, and look at its mounts then.
    """

    def __init__(self, connection: int) -> None:
        self._abort = os.open(f"{DIRECTORY}/{connection}/abort", os.O_WRONLY | os.O_CLOEXEC)

    def abort(self) -> None:
        """End it: every request fails, the mount is dead; nothing if it has ended."""
        os.write(self._abort, b"1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._abort)
