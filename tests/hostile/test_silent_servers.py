"""A FUSE server of the attacker's that answers as long as it likes, and then falls silent."""

import stat
import subprocess
from pathlib import Path

from support.mount_table import mounts_at
from support.program import Program
from support.users import User
from support.weakened import Change, Target, against


@against(
    Change(
        "fusermount_py/helper/unmount.py",
        "    if entry is None or _leads_nowhere_else(located, entry):\n",
        "    if 1:\n",
    )
)
def test_no_name_is_looked_up_while_the_capability_is_in_force(
    ours: Program, target: Target, caller: User, mountpoint: Path
) -> None:
    """
    The server answers the look and not the deed: the right to mount would be in force for as long
    as it likes.
    """
    mounted = ours.mount(mountpoint, user=caller)
    assert mounted.device is not None
    # A directory that it calls root's own: by what is asked of names it would be safe.
    server = ours.serve(mounted.device, root_mode=stat.S_IFDIR | 0o755)
    mounted.device.close()
    assert 0 == ours.mount(mountpoint / "inside", user=caller).exit_status

    server.answer_one_more_lookup()
    running = target.program.start(
        *("-u", "--", mountpoint / "inside"),
        user=caller,
        comm=None,
        environment={"_FUSE_PROCEED_TIMEOUT": "3"},
    )
    try:
        running.process.wait(1.5)
        stuck_with = 0
    except subprocess.TimeoutExpired:
        status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
        stuck_with = int(status.partition("CapEff:")[2].split()[0], 16)
    gone = mounts_at(mountpoint / "inside") == []
    server.kill()

    assert bool(stuck_with) == target.is_weak
    assert gone != target.is_weak
