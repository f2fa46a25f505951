"""
Flow: keep the number of FUSE mounts within mount_max, however many helpers run at once.

Counting and mounting are two moments; another helper may mount in between. A lock over both would
let one user's stopped process make everybody wait. So each helper takes a seat, which others count
like a mount, before it counts, and leaves it after its mount can be seen:

    take a seat -> held seats, then mounts -> too many? leave, try again : go on and mount

Seats are read before mounts: a helper that moves from its seat to its mount in between is counted
twice, never missed. Whoever counts too many gives way; a few tries, a moment apart, tell real
neighbours from such passing ones. Seats are counted no further than the mounts of the last try
make necessary.
"""

import posix
import time

from fusermount_py.helper import permission
from fusermount_py.helper.fuse_conf import Config
from fusermount_py.helper.kernel import mount_table
from fusermount_py.helper.kernel.seats import Seats

_TRIES = 13
_PAUSES = 16  # 1 to 16 milliseconds; neighbours have different pids, so they wake apart


def reserve(config: Config, seats: Seats | None) -> None:
    """Return with a place for one mount kept, or raise Refused; the seat is left later."""
    if not config.is_limited:
        return
    if seats is None:
        permission.check_mount_max(mount_table.count_fuse() + 1, config)
        return
    mounts = 0  # as last counted: the first try is for the many who are far below the limit
    for attempt in range(_TRIES):
        if attempt > 1:  # the second, which knows how many mounts there are, follows at once
            time.sleep((1 + (posix.getpid() + attempt * 5) % _PAUSES) / 1000)
        # No more seats than places, or many who are near the limit would keep each other out.
        places = config.mount_max - mounts
        taken = seats.take(places)
        held = seats.held(places) if taken else 0
        mounts = mount_table.count_fuse()
        if taken and held + mounts <= config.mount_max:
            return
        seats.leave()
        permission.check_mount_max(mounts + 1, config)
    permission.check_mount_max(config.mount_max + 1, config)
