"""
The RPM as it is installed, upgraded, interrupted and removed, by rpm itself.

On a Debian machine below an overlay: its own rpm is told not to mind. What fuse3 has there is
overwritten, as rpm does not know of it.
"""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import machine
from support.debian import PATH, DebianMachine
from support.essential import essential_skip
from support.users import CALLER

# A liveness bound for tests that build packages.
pytestmark = pytest.mark.timeout(600)

HELPER = "/usr/bin/fusermount3"
RPM = ("rpm", "--force-debian", "--nodeps")
ROOTS_SETUID = ("4755", 0, 0)
SPEC = Path("packaging/rpm/fusermount-py.spec")
# As it was packed before: the bit in the list of files, and no scripts.
PACKED_SETUID = re.compile(r"(?s)%pre\n.*?(?=%files)"), "%attr(0755, root, root) %verify(not mode)"


def build(folder: Path, release: str, *, is_weak: bool = False) -> Path:
    """The package with this release number; weakened: with the setuid bit among the files."""
    if shutil.which("rpmbuild", path=PATH) is None:
        essential_skip("needs rpmbuild: packaging/setup.sh test")
    source = folder / f"source-{release}-{is_weak}"
    for part in ("packaging", "fusermount_py", "man"):
        ignore = shutil.ignore_patterns("__pycache__", "build")
        shutil.copytree(machine.SOURCE / part, source / part, ignore=ignore)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(machine.SOURCE / name, source)
    spec = source / SPEC
    text = spec.read_text(encoding="utf-8").replace("\nRelease:        1", f"\nRelease: {release}")
    if is_weak:
        scripts, mode = PACKED_SETUID
        assert mode in text
        text = scripts.sub("", text).replace(mode, "%attr(4755, root, root)")
    spec.write_text(text, encoding="utf-8")
    command = ["make", "-s", "-C", str(source / "packaging"), "rpm", "RPMFLAGS=--nodeps"]
    subprocess.run(command, check=True, env={"PATH": PATH}, capture_output=True)
    (package,) = (source / "packaging" / "build" / "rpm" / "RPMS").rglob("*.rpm")
    return package


@pytest.fixture(scope="module")
def packages(build_folder: Path) -> tuple[Path, Path]:
    """One, and the next."""
    return build(build_folder / "rpms", "1"), build(build_folder / "rpms", "2")


@pytest.fixture(scope="module")
def weak_packages(build_folder: Path) -> tuple[Path, Path]:
    folder = build_folder / "rpms"
    return build(folder, "1", is_weak=True), build(folder, "2", is_weak=True)


def rpm(debian: DebianMachine, *words: Path | str) -> None:
    debian.run(*RPM, *(debian.brought(word) for word in words))


def rpm_is_killed(debian: DebianMachine, call: str, *words: Path | str) -> None:
    """When it makes this system call, the first or the sixth of its kind: ``renameat:when=6``."""
    inject = f"--inject={call.replace(':', ':signal=SIGKILL:')}"
    strace = ("strace", "-qq", "-o", "/dev/null", inject)
    result = debian.run(*strace, *RPM, *(debian.brought(word) for word in words), check=False)
    assert result.returncode == -signal.SIGKILL, result


def version(debian: DebianMachine) -> str:
    return debian.run(HELPER, "--version", user=CALLER).stdout.split()[-1]


def verified(debian: DebianMachine) -> tuple[str, str]:
    result = debian.run(*RPM, "--verify", "fusermount-py", check=False)
    return result.stdout, result.stderr


def test_the_bit_comes_last_and_goes_first(
    debian: DebianMachine, packages: tuple[Path, Path]
) -> None:
    """
    From the first install to the removal, what ordinary users find is setuid and whole, or gone.
    """
    first, second = packages
    rpm(debian, "--install", "--replacefiles", first)
    assert (ROOTS_SETUID, "3.19.0") == (debian.mode(HELPER), version(debian))
    rpm(debian, "--upgrade", second)
    assert (ROOTS_SETUID, "3.19.0") == (debian.mode(HELPER), version(debian))
    rpm(debian, "--upgrade", "--oldpackage", first)
    assert ROOTS_SETUID == debian.mode(HELPER)
    assert verified(debian) == ("", "")
    rpm(debian, "--erase", "fusermount-py")

    assert [] == debian.setuid_helpers()
    assert not debian.inside("/usr/lib/fusermount-py").exists()


# The first file gets its name, all others have rpm's; the helper has its own, and the tree has not.
MOMENTS = ("renameat:when=1", "renameat:when=6")


@pytest.mark.parametrize("call", MOMENTS)
@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_an_interrupted_install_leaves_no_setuid_helper(
    debian: DebianMachine,
    packages: tuple[Path, Path],
    weak_packages: tuple[Path, Path],
    call: str,
    who: str,
) -> None:
    """
    Neither one without its tree, nor one under rpm's name for what is not yet in its place, which
    nobody would ever look for.
    """
    debian.inside(HELPER).chmod(0o755)  # fuse3's
    package, _ = packages if who == "ours" else weak_packages

    rpm_is_killed(debian, call, "--install", "--replacefiles", package)

    assert (who == "ours") == (debian.setuid_helpers() == [])


@pytest.mark.parametrize("call", MOMENTS)
@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_an_interrupted_upgrade_leaves_no_setuid_helper_and_can_be_finished(
    debian: DebianMachine,
    packages: tuple[Path, Path],
    weak_packages: tuple[Path, Path],
    call: str,
    who: str,
) -> None:
    """
    Half of the tree may be of another version: not to be run with root's rights.
    """
    first, second = packages if who == "ours" else weak_packages
    rpm(debian, "--install", "--replacefiles", first)

    rpm_is_killed(debian, call, "--upgrade", second)
    assert (who == "ours") == (debian.setuid_helpers() == [])

    time.sleep(1.1)  # rpm's own names hold the second, and those of the first try are still there
    rpm(debian, "--upgrade", "--replacepkgs", second)
    assert (ROOTS_SETUID, "3.19.0") == (debian.mode(HELPER), version(debian))


@pytest.mark.parametrize("who", ["ours", "weakened"])
def test_an_interrupted_removal_leaves_no_setuid_helper(
    debian: DebianMachine,
    packages: tuple[Path, Path],
    weak_packages: tuple[Path, Path],
    who: str,
) -> None:
    """
    The tree goes before the program that runs it.
    """
    package, _ = packages if who == "ours" else weak_packages
    rpm(debian, "--install", "--replacefiles", package)

    rpm_is_killed(debian, "unlinkat:when=20", "--erase", "fusermount-py")

    assert (who == "ours") == (debian.setuid_helpers() == [])


def test_a_helper_that_lost_its_bit_does_not_verify(
    debian: DebianMachine, packages: tuple[Path, Path]
) -> None:
    """
    The list of files does not say it any more, so a script does.
    """
    rpm(debian, "--install", "--replacefiles", packages[0])
    debian.inside(HELPER).chmod(0o755)

    assert "is not setuid root (chmod 4755)" in "".join(verified(debian))
