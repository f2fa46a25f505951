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

import compiled_tree  # type: ignore[import-not-found]  # noqa: E402  # lies in the tree

sys.meta_path.insert(-1, compiled_tree.CompiledTree(TREE))  # Python's own finder stays the last

from fusermount_py.helper.main import main  # noqa: E402  # only importable from here on

main(sys.argv[1:], fuse_conf=FUSE_CONF, helper=HELPER, guard=GUARD)
