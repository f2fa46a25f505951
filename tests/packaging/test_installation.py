"""`make install` and its parts: exact inverses of `make uninstall`, and a result that was tried."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import kernel, machine

# A liveness bound for tests that install several times.
pytestmark = pytest.mark.timeout(600)

PYTHON = "/usr/bin/python3"
CHECK = machine.SOURCE / "packaging" / "check_installed.py"
PARTS = ("install", "install-man", "install-completion")


@pytest.fixture
def prefix(nothing_left: None) -> Iterator[Path]:
    path = machine.PREFIX / "whole"
    (path / "bin").mkdir(parents=True)
    yield path
    shutil.rmtree(path)


def everything_below(path: Path) -> dict[str, tuple[int, bytes]]:
    """Names, modes and contents."""
    return {
        str(each.relative_to(path)): (
            each.lstat().st_mode,
            b"" if each.is_dir() else each.read_bytes(),
        )
        for each in path.rglob("*")
    }


def check(helper: Path) -> "subprocess.CompletedProcess[str]":
    tree = helper.parents[1] / "lib" / "fusermount-py"
    return subprocess.run(
        [PYTHON, "-I", "-S", "-B", CHECK, helper, tree], capture_output=True, text=True, check=False
    )


def test_uninstall_is_the_inverse_of_all_that_installs(
    prefix: Path, manual_pages: dict[str, Path], build_folder: Path
) -> None:
    """
    Whoever tries it must get the machine back as it was; folders that are everybody's stay.
    """
    for folder in ("share/bash-completion/completions", *(f"share/man/man{n}" for n in "13578")):
        (prefix / folder).mkdir(parents=True)
        (prefix / folder / "other").write_text("of somebody else")
    (prefix / "lib" / "systemd" / "system").mkdir(parents=True)
    (prefix / "lib" / "systemd" / "system" / "other").touch()
    before = everything_below(prefix)

    machine.make(*PARTS, f"PREFIX={prefix}", f"BUILD={build_folder}")
    installed = everything_below(prefix)
    machine.make("uninstall", f"PREFIX={prefix}", f"BUILD={build_folder}")

    assert {f"share/man/man{name[-1]}/{name}" for name in manual_pages} <= set(installed)
    assert "share/bash-completion/completions/fusermount3" in installed
    assert before == everything_below(prefix)


def test_uninstall_takes_what_an_interrupted_install_has_left(prefix: Path) -> None:
    """
    A setuid program under a name that nobody knows may stay for years.
    """
    before = everything_below(prefix)
    words = ("install-helper", f"PREFIX={prefix}", "CC=/bin/false")
    result = subprocess.run(
        ["make", "-s", "-C", machine.SOURCE / "packaging", *words], capture_output=True, check=False
    )
    unnamed = prefix / "bin" / ".fusermount3.new"
    unnamed.touch()
    unnamed.chmod(0o4755)

    machine.make("uninstall", f"PREFIX={prefix}")

    (prefix / "lib").rmdir()
    assert (2, before) == (result.returncode, everything_below(prefix))


def test_make_alone_says_what_it_can_do() -> None:
    """
    Whoever packages this starts there.
    """
    command = ["make", "-s", "-C", str(machine.SOURCE / "packaging")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    targets = ("demo", "test", "install", "uninstall", "install-man", "deb", "rpm")
    assert set() == {
        target for target in targets if not re.search(rf"(packaging|\|) {target}\b", said)
    }


def test_a_distribution_may_give_the_setuid_bit_itself_and_elsewhere(prefix: Path) -> None:
    """
    Nix's store holds no setuid file, and the guard must call the one outside of it.
    """
    wrapper = "/run/wrappers/bin/fusermount3"
    machine.make("install-helper", f"PREFIX={prefix}", "MODE=0755", f"HELPER={wrapper}")

    entry = (prefix / "lib" / "fusermount-py" / "entry.py").read_text()
    assert 0o755 == stat.S_IMODE((prefix / "bin" / "fusermount3").stat().st_mode)
    assert f'\nHELPER = "{wrapper}"\n' in entry


def test_an_install_that_works_is_not_remarked_upon(installed_helper: str) -> None:
    """
    A check that cries over nothing is soon not read.
    """
    result = check(Path(installed_helper))

    assert (0, "", "") == (result.returncode, result.stdout, result.stderr)


def belongs_to_a_user(helper: Path) -> None:
    os.chown(helper, 61001, -1)
    helper.chmod(0o4755)


def lost_its_bit(helper: Path) -> None:
    helper.chmod(0o755)


def is_for_root_alone(helper: Path) -> None:
    helper.chmod(0o4700)


def has_an_unreadable_tree(helper: Path) -> None:
    (helper.parents[1] / "lib" / "fusermount-py" / "fusermount_py" / "helper").chmod(0o700)


def has_a_tree_that_others_may_change(helper: Path) -> None:
    (helper.parents[1] / "lib" / "fusermount-py" / "entry.py").chmod(0o666)


def lies_in_a_folder_that_others_may_change(helper: Path) -> None:
    (helper.parents[1] / "lib").chmod(0o777)


def has_no_interpreter_left(helper: Path) -> None:
    (helper.parents[1] / "lib" / "fusermount-py" / "entry.py").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (belongs_to_a_user, "bin/fusermount3 belongs to uid 61001: setuid makes nobody root"),
        (lost_its_bit, "bin/fusermount3 is not setuid (chmod 4755)"),
        (is_for_root_alone, "bin/fusermount3 can be started by its owner and group only"),
        (has_an_unreadable_tree, "fusermount_py/helper cannot be read by ordinary users"),
        (has_a_tree_that_others_may_change, "entry.py can be changed by others than root"),
        (lies_in_a_folder_that_others_may_change, "whole/lib can be changed by others than root"),
        (has_no_interpreter_left, "No such file or directory"),
    ],
)
def test_what_would_not_work_for_users_is_said_in_words(
    prefix: Path, damage: Callable[[Path], None], words: str
) -> None:
    """
    Else the first to find out is a user, whose message speaks of permissions.
    """
    machine.make("install-helper", f"PREFIX={prefix}")
    damage(prefix / "bin" / "fusermount3")

    result = check(prefix / "bin" / "fusermount3")

    assert 1 == result.returncode
    assert "installed, but it will not work for ordinary users: " in result.stdout
    assert words in result.stdout
    (prefix / "bin" / "fusermount3").chmod(0o755)


def test_an_install_onto_a_nosuid_file_system_fails_in_words(prefix: Path) -> None:
    """
    /home and /opt often are; the bit is there, and counts for nothing.
    """
    kernel.mount("tmpfs", prefix, "tmpfs", flags=kernel.MS_NOSUID, options="mode=0755")
    try:
        result = subprocess.run(
            ["make", "-s", "-C", machine.SOURCE / "packaging", "install", f"PREFIX={prefix}"],
            capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    finally:
        kernel.umount(prefix)

    assert 2 == result.returncode
    assert f"{prefix}/bin/fusermount3 lies on a file system that is mounted nosuid" in result.stdout


def test_a_device_that_is_closed_to_users_is_noted(installed_helper: str) -> None:
    """
    It is the machine's fault and not the installation's, hence a note.
    """
    machine.DEVICE.chmod(0o600)
    try:
        result = check(Path(installed_helper))
    finally:
        machine.DEVICE.chmod(0o666)

    assert 0 == result.returncode
    assert "install: note: /dev/fuse has mode 0600, udev's is 0666\n" == result.stdout
