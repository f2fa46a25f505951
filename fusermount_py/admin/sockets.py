"""
Who is at the other end of a Unix socket: the kernel's sock_diag, through pyroute2.

    /proc/PID/fd/N -> socket:[INODE] -> its peer's inode (sock_diag) -> the process that holds that
"""

import socket
from collections import defaultdict

from fusermount_py.admin import processes
from fusermount_py.admin.patience import in_time

_UDIAG_SHOW_PEER = 0x4  # linux/unix_diag.h
_PEER = "UNIX_DIAG_PEER"


def inodes_of(pid: int) -> dict[int, int]:
    """The sockets of a process: descriptor -> inode. OSError if we may not look."""
    found = {}
    for info, name in in_time(lambda: list(processes.open_files(pid))):
        if name.startswith("socket:["):
            found[int(info.rpartition("/")[2])] = int(name[8:-1])
    return found


def peers() -> dict[int, int]:
    """
    Every connected Unix socket of this network namespace: inode -> inode of its other end.

    Empty where the kernel does not tell: its module unix_diag is missing, or a sandbox forbids it.
    """
    from pyroute2 import DiagSocket, NetlinkError  # 130 ms

    found = {}
    try:
        with DiagSocket() as diagnosis:
            diagnosis.bind()
            for answer in diagnosis.get_sock_stats(family=socket.AF_UNIX, show=_UDIAG_SHOW_PEER):
                # An error has none of them; some versions of pyroute2 do not raise it.
                attributes = dict(tuple(attribute) for attribute in answer.get("attrs", ()))
                if attributes.get(_PEER):
                    found[int(answer["udiag_ino"])] = int(attributes[_PEER])
    except (OSError, NetlinkError):
        return {}
    return found


def holders() -> dict[int, list[int]]:
    """Inode of every socket that we can see -> the processes that hold it."""
    found = defaultdict(list)
    for pid in processes.pids():
        try:
            for inode in set(inodes_of(pid).values()):
                found[inode].append(pid)
        except OSError:
            continue  # not ours to see, or gone
    return found


def others(
    pid: int, descriptor: int | None, peers: dict[int, int], holders: dict[int, list[int]]
) -> set[int]:
    """
    Who holds the other end of this socket of a process; of any that it has, if it is not there.

    OSError if we may not look.
    """
    inodes = inodes_of(pid)
    ends = [inodes[descriptor]] if descriptor in inodes else inodes.values()
    return {other for end in ends for other in holders.get(peers.get(end, 0), ())} - {pid}
