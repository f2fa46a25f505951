"""
A whole mount in one call, in either turn order, and what it looks like from the client's side.

    assert refused("unknown option 'x'") == classic(program, mountpoint, "x", user=caller)
"""

import io
import os
import time
from collections.abc import Callable
from typing import Any

from support import kernel
from support.essential import essential_skip
from support.mount_table import mount_at
from support.program import END_OF_FILE, PATIENCE, Program, Result, Running
from support.users import PathLike, User


def refused(*sentences: str, argv0: str = "fusermount3") -> Result:
    """Exit status 1, nothing sent, nothing on stdout, and these lines on stderr."""
    return Result(1, b"", said(*sentences, argv0=argv0), None)


def said(*sentences: str, argv0: str = "fusermount3") -> bytes:
    """What a caller finds on stderr."""
    return b"".join(os.fsencode(f"{argv0}: {sentence}\n") for sentence in sentences)


def classic(
    program: Program, mountpoint: PathLike, options: str | bytes = b"", **how: Any
) -> Result:
    """Mount, then send the device. Like some callers, reads only when the helper has ended."""
    running = program.start("-o", options, "--", mountpoint, **how)
    result = running.wait()
    message = running.receive()
    if message == END_OF_FILE:
        return result
    assert (b"\0", 1) == (message.payload, len(message.descriptors)), message
    return result._replace(device=message.descriptors[0])


def sync_init(
    program: Program, mountpoint: PathLike, options: str | bytes = b"", **how: Any
) -> Result:
    """Send the device, mount on proceed, send the status; synchronous FUSE_INIT is not armed."""
    running = program.start_sync_init(mountpoint, options, **how)
    message = running.receive()
    if message == END_OF_FILE:
        return running.wait()
    assert (b"\0", 1) == (message.payload, len(message.descriptors)), message
    running.proceed()
    status = running.read_status()
    result = running.wait()
    assert (status == 0) == (result.exit_status == 0), (status, result)
    return result._replace(device=message.descriptors[0])


DEMO = "fsname=here,subtype=demo"


def assert_serves_demo(mountpoint: PathLike, user: User) -> None:
    """A mount with the options DEMO is there: the kernel shows it so, and its owner is answered."""
    entry = mount_at(mountpoint)
    assert ("fuse.demo", b"here") == (entry.fstype, entry.source)
    assert {"rw", "nosuid", "nodev", "relatime"} == entry.attributes
    assert {"rw", f"user_id={user.uid}", f"group_id={user.gid}"} == entry.options
    assert 2 == user.call(os.stat, mountpoint).st_nlink


def receive_armed(running: Running) -> io.FileIO:
    """The device, with synchronous FUSE_INIT armed."""
    device = running.receive_device()
    if not kernel.arm_sync_init(device):
        essential_skip("needs Linux 6.18, for synchronous FUSE_INIT")
    return device


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that must come; how soon it comes is not measured."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited for nothing: {what}"
        time.sleep(0.005)
