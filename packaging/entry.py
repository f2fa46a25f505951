"""
What the setuid launcher executes: the import path, then the helper.

This one file is compiled anew at every start (python keeps no .pyc of the file it is
given), so it stays this short. Below `-I -S`, sys.path holds the standard library alone;
the folder of this file, the tree, holds everything else the helper imports.
"""

import sys

# `make install` writes the paths of the installation here.
FUSE_CONF = "/etc/fuse.conf"
HELPER = "/usr/local/bin/fusermount3"
GUARD = "/usr/local/lib/fusermount-py/guard"

TREE = __file__.rpartition("/")[0]
sys.path.insert(0, TREE)

try:
    import compiled_tree  # type: ignore[import-not-found]  # lies in the tree

    # Python's own finder stays the last.
    sys.meta_path.insert(-1, compiled_tree.CompiledTree(TREE))

    from fusermount_py.helper.main import main  # only importable from here on
except Exception as error:  # noqa: BLE001  # half an installation, or no memory: no traceback
    import posix

    # As the caller, whose words and whose descriptor these are: as root nothing is written.
    uid, gid = posix.getuid(), posix.getgid()
    posix.setresgid(gid, gid, gid)
    posix.setresuid(uid, uid, uid)
    sys.exit(f"{sys.argv[1]}: cannot load {TREE}: {type(error).__name__}")

main(sys.argv[1:], fuse_conf=FUSE_CONF, helper=HELPER, guard=GUARD)
