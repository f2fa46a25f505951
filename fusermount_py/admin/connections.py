"""
FUSE connections as the kernel shows them in fusectl: /sys/fs/fuse/connections/<number>.

Each holds ``waiting`` and ``abort``, for root and for the user who mounted (fuse.rst, "Control
filesystem"). Reading and writing them asks no server. Often nobody has mounted fusectl, then all of
this is unknown.
"""

import os

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


def abort(connection: int) -> None:
    """End the connection: every request fails, the mount is dead. OSError if we may not."""
    with open(f"{DIRECTORY}/{connection}/abort", "w", encoding="ascii") as file:
        file.write("1")
