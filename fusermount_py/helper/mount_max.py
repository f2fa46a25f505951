"""
Flow: keep the number of FUSE mounts within mount_max, however many helpers run at once.

Counting and mounting are two moments; another helper may mount in between. A lock over both would
let one user's stopped process make everybody wait. So each helper takes a seat, which others count
like a mount, before it counts, and leaves it after its mount can be seen:

    take a seat -> seats of others, then mounts -> too many? leave, try again : go on and mount

Seats are read before mounts: a helper that moves from its seat to its mount in between is counted
twice, never missed. Whoever counts too many gives way; a few tries, a moment apart, tell real
neighbours from such passing ones.
"""

import posix
import time

from fusermount_py.helper import permission
from fusermount_py.helper.fuse_conf import Config
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.kernel.seats import Seats

_TRIES = 12
_PAUSES = 16  # 1 to 16 milliseconds; neighbours have different pids, so they wake apart


def reserve(config: Config, seats: Seats | None) -> None:
    """Return with a place for one mount kept, or raise Refused; the seat is left later."""
    if not config.is_limited:
        return
    if seats is None:
        permission.check_mount_max(mount_table.count_fuse() + 1, config)
        return
    mounts = 0  # as many as were last counted: the first try is for the many who are far below
    for attempt in range(_TRIES):
        # No more seats than places, or many who are near the limit would keep each other out.
        taken = seats.take(config.mount_max - mounts)
        others = seats.held_by_others()
        mounts = mount_table.count_fuse()
        if taken and others + mounts + 1 <= config.mount_max:
            return
        seats.leave()
        permission.check_mount_max(mounts + 1, config)
        time.sleep((1 + (posix.getpid() + attempt * 5) % _PAUSES) / 1000)
    permission.check_mount_max(config.mount_max + 1, config)
