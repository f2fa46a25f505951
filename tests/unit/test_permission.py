"""The rules that no mount of this kernel can break, by data alone."""

import pytest

from fusermount_py.helper import permission
from fusermount_py.helper.errors import Refused
from fusermount_py.helper.kernel.privilege import Caller
from fusermount_py.helper.mount_entry import Mount


@pytest.mark.parametrize("fstype", ["fusectl", "fusex", "notfuse", "overlay", "fuse3.x"])
def test_only_a_fuse_mount_has_an_owner(fstype: str) -> None:
    """
    What another file system calls user_id is a word of its own.
    """
    mount = Mount(1, 0, "/mnt", fstype, "rw,user_id=1000")

    with pytest.raises(Refused):
        permission.check_owner(mount, "/mnt", Caller(1000, 1000))


@pytest.mark.parametrize("fstype", ["fuse", "fuse.demo", "fuseblk", "fuseblk.demo"])
def test_ones_own_fuse_mount_is_ones_own(fstype: str) -> None:
    """
    Shows that the test above refuses for the type alone.
    """
    permission.check_owner(Mount(1, 0, "/mnt", fstype, "user_id=7"), "/mnt", Caller(7, 7))
