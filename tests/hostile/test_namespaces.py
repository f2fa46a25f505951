"""
Mountpoints that lie in another mount namespace than the caller's.

A held directory says what it is, never where it is: its mount may belong to a tree of the caller's
own making, whose owner takes nosuid and nodev off again.
"""

from pathlib import Path

import pytest

from support.foreign_namespace import ForeignNamespace
from support.users import User
from support.weakened import Change, Target, against


@pytest.mark.parametrize("flow", ["classic", "sync-init"])
@pytest.mark.parametrize("way", ["descriptor", "directory"])
@against(
    Change("fusermount_py/helper/permission.py", "if not is_here:", "if 0:"),
    Change("fusermount_py/helper/creation.py", "if not mount_identity.lies_on(", "if 0 and not ("),
)
def test_a_mountpoint_in_a_tree_of_the_callers_own_namespace_is_none(
    target: Target, caller: User, mountpoint: Path, way: str, flow: str
) -> None:
    """
    The owner of that namespace can remount it with devices (Linux 6.16), and mount_max does not
    count there: a dozen mounts and more.
    """
    with ForeignNamespace(caller, mountpoint) as foreign:
        running = target.program.start(
            *["--sync-init"] * (flow == "sync-init"),
            *("--", foreign.sub if way == "descriptor" else "sub"),
            user=caller,
            cwd=foreign.tree,
        )
        received = running.receive().descriptors
        if received and flow == "sync-init":
            running.proceed()
        result = running.wait()
        foreign.attach()
        landed = "fuse" in foreign.mounted_types()

    assert landed == target.is_weak
    assert bool(received) == target.is_weak  # the device, too, is for those who may mount
    if not target.is_weak:
        assert 1 == result.exit_status
        assert b"is not in the mount namespace of its user" in result.stderr
