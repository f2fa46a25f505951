"""Wheel and sdist: what `pip install` gives an author of servers, in any virtual environment."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from support import machine
from support.essential import essential_skip
from support.mount_table import mount_at
from support.users import CALLER

# A liveness bound for tests that build and install packages.
pytestmark = pytest.mark.timeout(600)

PYTHON = "/usr/bin/python3"
# No compiler, as on most machines where somebody types pip install.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "CC": "/bin/false", "HOME": "/nonexistent"}
EXTRAS = ("_prctl", "prctl", "click", "pyroute2")


def run(*words: str | Path, **how: object) -> "subprocess.CompletedProcess[str]":
    """Run as an ordinary user, who has nothing installed."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # how: as run()
        words, user=CALLER.uid, group=CALLER.gid, extra_groups=(), cwd="/run/scratch",
        capture_output=True, text=True, check=False, **{"env": ENVIRONMENT, **how},
    )  # fmt: skip


def run_well(*words: str | Path) -> str:
    result = run(*words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(private_machine: None) -> Path:
    folder = machine.SCRATCH / "python"
    folder.mkdir()
    os.chown(folder, CALLER.uid, CALLER.gid)
    return folder


@pytest.fixture(scope="module")
def distributions(folder: Path) -> dict[str, Path]:
    """The sdist, and a wheel that was made from it."""
    if run(PYTHON, "-c", "import build, hatchling").returncode != 0:
        essential_skip("needs python3-build and python3-hatchling: packaging/setup.sh test")
    source = folder / "source"
    kept = ("fusermount_py", "pyproject.toml", "README.md", "LICENSE", ".gitignore")
    source.mkdir()
    for name in kept:
        subprocess.run(["cp", "-R", machine.SOURCE / name, source], check=True)
    subprocess.run(["chown", "-R", f"{CALLER.uid}:{CALLER.gid}", source], check=True)
    # Debian's hatchling asks for editables, which it needs for editable installs alone.
    build = ("-m", "build", "--no-isolation", "--skip-dependency-check")
    run_well(PYTHON, *build, "--outdir", folder / "dist", source)
    shutil.rmtree(source)
    return {path.suffix: path for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def environment(folder: Path, distributions: dict[str, Path]) -> Path:
    """A clean virtual environment with the wheel in it, and nothing else."""
    run_well(PYTHON, "-m", "venv", folder / "venv")
    pip = folder / "venv" / "bin" / "pip"
    run_well(pip, "install", "--no-index", "--no-cache-dir", distributions[".whl"])
    return folder / "venv" / "bin"


def test_both_hold_the_same_modules(distributions: dict[str, Path]) -> None:
    """
    Distributions build from the sdist, everybody else takes the wheel.
    """
    sources = {
        str(path.relative_to(machine.SOURCE))
        for path in (machine.SOURCE / "fusermount_py").rglob("*")
        if path.name == "py.typed" or path.suffix == ".py"
    }
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        in_wheel = {name for name in wheel.namelist() if ".dist-info/" not in name}
    with tarfile.open(distributions[".gz"]) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}

    assert sources == in_wheel
    assert sources <= in_sdist


def test_the_wheel_is_for_every_machine_and_needs_nothing(distributions: dict[str, Path]) -> None:
    """
    No compiler, no root, no other package, unless an extra is asked for.
    """
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(name).decode()

    assert distributions[".whl"].name.endswith("-py3-none-any.whl")
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert [] == [line for line in required if "extra ==" not in line]


@pytest.mark.parametrize("module", ["client", "daemonize", "hello", "client.__main__"])
def test_what_servers_import_is_there_and_drags_nothing_in(environment: Path, module: str) -> None:
    """
    python-prctl is GPL and compiled, click and pyroute2 cost more than a mount.
    """
    program = f"import sys, fusermount_py.{module}; print(*sorted(sys.modules))"
    loaded = run_well(environment / "python", "-I", "-c", program).split()

    assert f"fusermount_py.{module}" in loaded
    assert set() == {name.partition(".")[0] for name in loaded} & set(EXTRAS)


def test_the_command_says_what_it_lacks(environment: Path) -> None:
    """
    An extra that was not asked for is no traceback.
    """
    result = run(environment / "fusermount-py", "--version")

    assert 1 == result.returncode
    assert "fusermount-py needs click: pip install 'fusermount-py[admin]'" in result.stderr


def test_a_server_in_the_environment_mounts_through_the_installed_helper(
    environment: Path, installed_helper: str, mountpoint: Path
) -> None:
    """
    That is all that pip install is for: everything with a privilege came from the distribution.
    """
    path = f"{Path(installed_helper).parent}:/usr/bin:/bin"
    mounted = run(
        environment / "python", "-m", "fusermount_py.hello", mountpoint, env={"PATH": path}
    )
    assert (0, "") == (mounted.returncode, mounted.stderr)
    assert "fuse.hello" == mount_at(mountpoint).fstype

    assert 0 == run(installed_helper, "-u", mountpoint).returncode
