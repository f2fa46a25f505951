"""
Mount FUSE file systems as an ordinary user: helper, client and daemonize in Python.

Imports nothing: the privileged helper pays for every line that stands here.
"""

__version__ = "0.1.0"
