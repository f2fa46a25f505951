#!/usr/bin/python3 -I
"""The admin's command: its own import path, then fusermount_py.admin."""

import sys

# `make install` writes the path of the installation here.
TREE = "/usr/local/lib/fusermount-py-admin"

sys.path.insert(0, TREE)

from fusermount_py.admin.__main__ import run  # noqa: E402  # only importable from here on

run()
