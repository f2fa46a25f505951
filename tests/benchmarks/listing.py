"""The admin's `mounts` command beside many FUSE mounts, no server of which ever answers."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support import kernel
from support.machine import SCRATCH, SITE
from support.users import CALLER

PROGRAM = ("/usr/bin/python3", "-B", "-m", "fusermount_py.admin")
ENVIRONMENT = {"PYTHONPATH": str(SITE)}


def measure(mounts: int, rounds: int) -> list[float]:
    """Seconds from start to exit; it would hang if it touched one of the mounts."""
    seconds = []
    with silent_mounts(mounts):
        for _ in range(rounds):
            begin = time.perf_counter()
            subprocess.run(
                [*PROGRAM, "mounts"],
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=60,
            )
            seconds.append(time.perf_counter() - begin)
    return seconds


@contextmanager
def silent_mounts(count: int) -> Iterator[None]:
    """So many of the ordinary user's FUSE mounts, made without a helper; FUSE_INIT is pending."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, max(count + 100, limits[1])))
    home = SCRATCH / "listing"
    home.mkdir()
    kernel.mount("listing", home, "tmpfs")
    devices = []
    try:
        for number in range(count):
            path = home / str(number)
            path.mkdir()
            devices.append(os.open("/dev/fuse", os.O_RDWR))
            ids = f"user_id={CALLER.uid},group_id={CALLER.gid}"
            kernel.mount(
                "bench", path, "fuse.bench", options=f"fd={devices[-1]},rootmode=40000,{ids}"
            )
        yield
    finally:
        kernel.umount(home)
        for device in devices:
            os.close(device)
        home.rmdir()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
