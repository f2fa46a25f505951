"""Fixtures: the Debian package, built once, and machines to install it on."""

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import machine
from support.debian import PATH, DebianMachine
from support.essential import essential_skip

_numbers = itertools.count(1)


def make(*words: str, needs: str) -> None:
    """Run make in packaging/, where the program that it needs is there."""
    if shutil.which(needs, path=PATH) is None:
        essential_skip(f"needs {needs}: packaging/setup.sh test")
    command = ["make", "-s", "-C", str(machine.SOURCE / "packaging"), *words]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": PATH}
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def build_folder(private_machine: None) -> Path:
    return machine.SCRATCH / "build"


@pytest.fixture(scope="session")
def debian_package(build_folder: Path) -> Path:
    make("deb", f"BUILD={build_folder}", needs="dh_python3")
    (package,) = build_folder.glob("*.deb")
    return package


@pytest.fixture(scope="session")
def manual_pages(build_folder: Path) -> dict[str, Path]:
    make("man", f"BUILD={build_folder}", needs="pandoc")
    return {path.name: path for path in build_folder.glob("*.[1-8]")}


@pytest.fixture
def debian(nothing_left: None) -> Iterator[DebianMachine]:
    """A Debian machine without our package."""
    debian = DebianMachine(machine.SCRATCH / f"debian-{next(_numbers)}")
    yield debian
    debian.close()


@pytest.fixture
def ours_on_debian(debian: DebianMachine, debian_package: Path) -> DebianMachine:
    """A Debian machine with our package."""
    debian.dpkg("--install", debian_package)
    return debian


@pytest.fixture
def workshop(nothing_left: None) -> Iterator[Callable[[], Path]]:
    """Makes folders in which packages are changed."""
    made: list[Path] = []

    def make_folder() -> Path:
        made.append(machine.SCRATCH / f"workshop-{next(_numbers)}")
        made[-1].mkdir()
        return made[-1]

    yield make_folder
    for folder in made:
        shutil.rmtree(folder)
