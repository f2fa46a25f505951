"""Our helper in the place where the libraries of real file systems call it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import kernel
from support.essential import essential_skip
from support.machine import PREFIX


class InPlace:
    """Ours stands where Debian's fusermount3 does, and tells when it was started."""

    def __init__(self, helper: str, paths: set[str]) -> None:
        self._watch = kernel.watch_opens(PREFIX / "lib/fusermount-py/entry.py")
        self._covered = paths
        for path in paths:
            kernel.mount(helper, path, flags=kernel.MS_BIND)

    def has_run(self) -> bool:
        """Whether it was started since this was last asked: nobody else opens its entry.py."""
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False

    def give_way(self) -> None:
        """From here on, Debian's is called."""
        while self._covered:
            kernel.umount(self._covered.pop())

    def close(self) -> None:
        self.give_way()
        os.close(self._watch)


@pytest.fixture
def in_place(nothing_left: None, installed_helper: str) -> Iterator[InPlace]:
    """Libraries have the path compiled in, so ours is bound over it; libfuse 2 has its own."""
    called = {os.path.realpath(path) for path in ("/usr/bin/fusermount3", "/bin/fusermount")}
    if not all(map(os.path.exists, called)):
        essential_skip("needs Debian's fusermount3: apt-get install fuse3")
    place = InPlace(installed_helper, called)
    yield place
    place.close()


@pytest.fixture
def mountpoint(mountpoint: Path, in_place: InPlace) -> Path:
    """Whoever mounts here does it through ours."""
    return mountpoint
