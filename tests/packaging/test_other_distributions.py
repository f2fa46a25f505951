"""The RPM and the AppArmor profile, as far as a Debian machine can judge them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support import machine
from support.essential import essential_skip

# A liveness bound for tests that build packages.
pytestmark = pytest.mark.timeout(600)

PROFILE = machine.SOURCE / "packaging" / "apparmor" / "fusermount-py"


@pytest.fixture(scope="module")
def rpm_package(build_folder: Path) -> Path:
    if shutil.which("rpmbuild") is None:
        essential_skip("needs rpmbuild: packaging/setup.sh test")
    # Debian's packages are in no RPM database, so what it needs is not looked for.
    machine.make("rpm", f"BUILD={build_folder}", "RPMFLAGS=--nodeps")
    (package,) = (build_folder / "rpm" / "RPMS").rglob("*.rpm")
    return package


def query(package: Path, *words: str) -> str:
    command = ["rpm", "--query", "--package", *words, str(package)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_rpm_has_no_setuid_file_and_all_is_roots(rpm_package: Path) -> None:
    """
    The same files as make install makes; the bit is its scripts' to give: test_rpm_scripts.py.
    """
    listed = query(
        rpm_package, "--queryformat", r"[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]"
    )
    files = [line.split(maxsplit=2) for line in listed.splitlines()]

    assert [] == [name for mode, _, name in files if "s" in mode]
    assert {"root"} == {user for _, user, _ in files}
    assert set() == {name for mode, _, name in files if mode[0] != "l" and "w" in mode[5:]}


def test_the_rpm_holds_every_module_of_the_helper_compiled(rpm_package: Path) -> None:
    """
    The helper never compiles, and rpm's own compiling is switched off.
    """
    names = query(rpm_package, "--list").splitlines()
    tree = [name for name in names if name.startswith("/usr/lib/fusermount-py/")]
    sources = {Path(name).stem for name in tree if name.endswith(".py")} - {"entry"}
    compiled = {Path(name).name.partition(".")[0] for name in tree if name.endswith(".pyc")}

    assert sources
    assert sources == compiled


def test_apparmor_accepts_the_profile() -> None:
    """
    One that does not parse is not loaded, and the stock one then stops every mount.
    """
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if parser is None:
        essential_skip("needs apparmor_parser: packaging/setup.sh test")
    command = [parser, "--skip-kernel-load", "--skip-cache", str(PROFILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stderr


def test_the_profile_takes_precedence_over_patterns() -> None:
    """
    A name with a pattern, or an attachment beside the name, would tie with the stock profile,
    and then the kernel attaches neither.
    """
    heads = re.findall(r"^(.*?)(?: flags=\(.*\))? \{$", PROFILE.read_text(), re.MULTILINE)

    assert ["/usr/bin/fusermount3"] == heads
