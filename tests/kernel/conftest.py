"""Fixtures of the tests of the helper alone."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import flows, kernel
from support.program import Program, Result

Mount = Callable[..., Result]


@pytest.fixture(params=["classic", "sync-init"])
def mount(request: pytest.FixtureRequest, ours: Program) -> Mount:
    """
    Mounts in one call, as `flows.classic` does: the test runs in both turn orders.

    What is refused is refused before the device is sent, so both end alike.
    """
    flow = flows.classic if request.param == "classic" else flows.sync_init

    def mount(*words: Any, **how: Any) -> Result:
        return flow(ours, *words, **how)

    return mount


@pytest.fixture
def bare_dev(ours: Program) -> Iterator[Path]:
    """A /dev for one test: it has null and nothing else."""
    kernel.mount("tmpfs", "/dev", "tmpfs", options="mode=0755")
    os.mknod("/dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod("/dev/null", 0o666)
    yield Path("/dev")
    kernel.umount("/dev")
