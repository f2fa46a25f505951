"""The Debian package: what it takes over from fuse3, and how it gives that back."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import machine
from support.debian import HELPER, DebianMachine, edited, fuse3_package
from support.users import CALLER

# A liveness bound for tests that build and install packages.
pytestmark = pytest.mark.timeout(600)

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
OURS, THEIRS = "3.19.0", "3.14.0"
ROOTS_SETUID = ("4755", 0, 0)
HIGHER = "9:1"  # an epoch: higher than whatever comes


def sshfs_mounts(debian: DebianMachine) -> bool:
    """Whether an ordinary user's sshfs, which calls fusermount3, mounts and unmounts."""
    home = debian.inside("/run/home")
    if not home.exists():
        (home / "mountpoint").mkdir(parents=True)
        instead_of_ssh = home / "ssh"
        instead_of_ssh.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n", encoding="ascii")
        instead_of_ssh.chmod(0o755)
        subprocess.run(["chown", "-R", f"{CALLER.uid}:{CALLER.gid}", home], check=True)
    sshfs = ("sshfs", "-o", "ssh_command=/run/home/ssh", "nowhere:/usr/bin", "/run/home/mountpoint")
    if debian.run(*sshfs, user=CALLER, check=False).returncode != 0:
        return False
    shown = debian.run("ls", "/run/home/mountpoint", user=CALLER).stdout
    debian.run("fusermount3", "-u", "/run/home/mountpoint", user=CALLER)
    return "dpkg\n" in shown


def test_lintian_has_nothing_to_say(debian_package: Path) -> None:
    """
    Each override in debian/lintian-overrides has its reason above it; one of no use is named.
    """
    result = subprocess.run(
        ["lintian", "--allow-root", "--display-info",
         *debian_package.parent.glob("*.changes")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "" == "\n".join(re.findall("^[EWI]: .*", result.stdout, re.MULTILINE))
    assert 0 == result.returncode, result.stderr


def test_the_package_has_the_version_of_the_program() -> None:
    """
    Who reports a bug against one names the other.
    """
    changelog = (machine.SOURCE / "packaging/debian/changelog").read_text()
    module = (machine.SOURCE / "fusermount_py/__init__.py").read_text()

    (version,) = re.findall('^__version__ = "(.*)"', module, re.MULTILINE)
    assert version == re.findall(r"\((.*)\)", changelog)[0]


def test_the_package_is_taken_up_and_given_back(
    debian: DebianMachine, debian_package: Path
) -> None:
    """
    Installed, ours is the only one that could mount; removed and purged, nothing tells that it
    was there.
    """
    assert (THEIRS, True) == (debian.version(), sshfs_mounts(debian))
    before = debian.files()

    debian.dpkg("--install", debian_package)
    assert (OURS, True) == (debian.version(), sshfs_mounts(debian))
    assert ["fusermount3"] == debian.setuid_helpers()
    assert ROOTS_SETUID == debian.mode()
    assert "fusermount3" == str(debian.inside("/usr/bin/fusermount").readlink())
    for path in ("/bin/fusermount", "/sbin/mount.fuse3", "/etc/fuse.conf"):
        assert f"fuse3: {path}\n" == debian.run("dpkg", "--search", path).stdout

    debian.dpkg("--remove", "fusermount-py")
    assert (THEIRS, True) == (debian.version(), sshfs_mounts(debian))
    assert ["fusermount3"] == debian.setuid_helpers()
    assert ROOTS_SETUID == debian.mode()

    debian.dpkg("--purge", "fusermount-py")
    left = {name for name, what in debian.files().items() if before.get(name) != what}
    came_back = {str(HELPER), "/usr/share/man/man1/fusermount3.1.gz"}
    assert came_back == {name for name in left if "fusermount" in name}
    assert "" == debian.run("dpkg", "--verify", "fuse3").stdout
    assert "" == debian.run("dpkg-divert", "--list", "*fusermount*").stdout
    assert "" == debian.run("dpkg", "--audit").stdout


def test_an_upgrade_keeps_what_works(
    ours_on_debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path]
) -> None:
    """
    The diversion must be made once, and not end with the old version.
    """
    ours_on_debian.dpkg("--install", edited(debian_package, workshop(), version=HIGHER))

    assert (OURS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))
    assert ["fusermount3"] == ours_on_debian.setuid_helpers()
    assert HIGHER in ours_on_debian.run("dpkg-query", "-W", "fusermount-py").stdout


@pytest.mark.parametrize("folder", ["/bin", "/usr/bin"])
def test_fuse3_may_be_upgraded_under_it(
    ours_on_debian: DebianMachine, workshop: Callable[[], Path], folder: str
) -> None:
    """
    Its next version may bring fusermount3 under either name of the same place; ours stays in
    front, and C's, without the setuid bit, is still what comes back.
    """
    debian = ours_on_debian
    debian.dpkg("--install", fuse3_package(workshop(), HIGHER, folder))

    assert (OURS, True) == (debian.version(), sshfs_mounts(debian))
    assert ["fusermount3"] == debian.setuid_helpers()
    assert "" == debian.run("dpkg", "--audit").stdout

    debian.dpkg("--purge", "fusermount-py")
    assert (THEIRS, True) == (debian.version(), sshfs_mounts(debian))
    assert {"fusermount3", "fusermount"} == {
        path.name for path in debian.inside("/usr/bin").glob("*fusermount*")
    }
    assert ROOTS_SETUID == debian.mode()


@pytest.mark.parametrize("folder", ["/bin", "/usr/bin"])
def test_the_administrators_word_on_permissions_stands(
    debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path], folder: str
) -> None:
    """
    Who gives FUSE to one group only must not find it open to all after an upgrade of anything.
    """
    debian.run("dpkg-statoverride", "--add", "root", "staff", "4750", f"{folder}/fusermount3")
    staff = debian.inside("/etc/group").read_text().partition("\nstaff:x:")[2].partition(":")[0]
    theirs = ("4750", 0, int(staff))

    debian.dpkg("--install", debian_package)
    assert theirs == debian.mode()
    assert ["fusermount3"] == debian.setuid_helpers()

    debian.dpkg("--install", edited(debian_package, workshop(), version=HIGHER))
    assert theirs == debian.mode()

    debian.dpkg("--install", fuse3_package(workshop(), HIGHER, "/bin"))
    assert theirs == debian.mode()
    assert ["fusermount3"] == debian.setuid_helpers()

    debian.dpkg("--remove", "fusermount-py")
    assert theirs == debian.mode()


def test_an_override_may_take_the_setuid_bit_away(
    debian: DebianMachine, debian_package: Path
) -> None:
    """
    That is how FUSE is forbidden to ordinary users on Debian.
    """
    debian.run("dpkg-statoverride", "--add", "root", "root", "0755", "/usr/bin/fusermount3")

    debian.dpkg("--install", debian_package)

    assert [] == debian.setuid_helpers()
    assert not sshfs_mounts(debian)


@pytest.mark.parametrize("when", ["before anything is unpacked", "before it is configured"])
def test_an_interrupted_install_leaves_no_setuid_helper_and_can_go_either_way(
    debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path], when: str
) -> None:
    """
    A machine loses power when it likes. A setuid program that is half there, or that nobody
    lists, is worse than none.
    """
    if when == "before anything is unpacked":
        dies = edited(debian_package, workshop(), preinst="kill -KILL $PPID")
        debian.dpkg_is_killed("--install", dies)
    else:
        debian.dpkg("--unpack", debian_package)
    assert [] == debian.setuid_helpers()
    assert not sshfs_mounts(debian)

    debian.dpkg("--install", debian_package)
    assert (OURS, True) == (debian.version(), sshfs_mounts(debian))
    debian.dpkg("--purge", "fusermount-py")
    assert (THEIRS, True) == (debian.version(), sshfs_mounts(debian))


def test_an_interrupted_install_can_be_taken_back(
    debian: DebianMachine, debian_package: Path
) -> None:
    """
    Without having to finish first.
    """
    debian.dpkg("--unpack", debian_package)

    debian.dpkg("--purge", "fusermount-py")

    assert (THEIRS, True) == (debian.version(), sshfs_mounts(debian))
    assert ["fusermount3"] == debian.setuid_helpers()


def test_an_interrupted_upgrade_leaves_no_setuid_helper(
    ours_on_debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path]
) -> None:
    """
    Half of the tree may be of another version: not to be run with root's rights.
    """
    preinst = "kill -KILL $PPID"
    dies = edited(debian_package, workshop(), version=HIGHER, preinst=preinst)
    ours_on_debian.dpkg_is_killed("--install", dies)
    assert [] == ours_on_debian.setuid_helpers()

    ours_on_debian.dpkg("--install", edited(debian_package, workshop(), version=HIGHER))
    assert (OURS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))
    assert ["fusermount3"] == ours_on_debian.setuid_helpers()


def test_an_interrupted_upgrade_from_a_broken_version_leaves_no_setuid_helper_either(
    ours_on_debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path]
) -> None:
    """
    Where the old version's own script fails, dpkg asks the new one's, and goes on.
    """
    prerm = ours_on_debian.inside("/var/lib/dpkg/info/fusermount-py.prerm")
    prerm.write_text("#!/bin/sh\nexit 1\n")

    dies = edited(debian_package, workshop(), version=HIGHER, preinst="kill -KILL $PPID")
    ours_on_debian.dpkg_is_killed("--install", dies)

    assert [] == ours_on_debian.setuid_helpers()


def test_an_install_that_fails_makes_nothing_setuid_that_is_not_fuse3s(
    debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path]
) -> None:
    """
    What the administrator has put there, without the bit, is not ours to make root's for everybody.
    """
    debian.run("dpkg", "--remove", "--force-depends", "fuse3")
    own = debian.inside(HELPER)
    own.write_bytes(debian.inside("/bin/true").read_bytes())
    own.chmod(0o755)

    fails = edited(debian_package, workshop(), preinst="exit 1")
    result = debian.run("dpkg", "--force-depends", "-i", debian.brought(fails), check=False)

    assert 1 == result.returncode
    assert [] == debian.setuid_helpers()


@pytest.mark.parametrize("script", ["prerm", "postrm"])
def test_an_interrupted_removal_leaves_no_setuid_helper_and_can_be_finished(
    ours_on_debian: DebianMachine, script: str
) -> None:
    """
    Between the two, the files of ours are gone one by one, and C's is not yet in its place.
    """
    path = ours_on_debian.inside(f"/var/lib/dpkg/info/fusermount-py.{script}")
    whole = path.read_text()
    dies = "kill -KILL $PPID $$\n"
    path.write_text(
        whole + dies if script == "prerm" else whole.replace("set -e\n", f"set -e\n{dies}", 1)
    )

    ours_on_debian.dpkg_is_killed("--remove", "fusermount-py")
    assert [] == ours_on_debian.setuid_helpers()

    path.write_text(whole)
    ours_on_debian.dpkg("--remove", "fusermount-py")
    assert (THEIRS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))
    assert ["fusermount3"] == ours_on_debian.setuid_helpers()


def test_a_failed_upgrade_leaves_the_old_version_working(
    ours_on_debian: DebianMachine, debian_package: Path, workshop: Callable[[], Path]
) -> None:
    """
    Then dpkg goes back, and must find the way.
    """
    fails = edited(debian_package, workshop(), version=HIGHER, preinst="exit 1")
    result = ours_on_debian.run("dpkg", "--install", ours_on_debian.brought(fails), check=False)

    assert 1 == result.returncode
    assert (OURS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))
    assert ["fusermount3"] == ours_on_debian.setuid_helpers()


def test_another_default_python_changes_nothing(ours_on_debian: DebianMachine) -> None:
    """
    Between two releases /usr/bin/python3 is exchanged long before this package is; its mounts
    must not wait for that. The helper names its interpreter with the version.
    """
    default = ours_on_debian.inside("/usr/bin/python3")
    default.unlink()
    default.symlink_to("false")

    assert (OURS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))


def test_byte_code_of_another_python_is_not_run(ours_on_debian: DebianMachine) -> None:
    """
    Should an upgrade within 3.11 change the format after all, the helper must get slower, and
    nothing else: its sources lie beside the compiled files.
    """
    for compiled in ours_on_debian.inside("/usr/lib/fusermount-py").rglob("*.pyc"):
        content = compiled.read_bytes()
        compiled.write_bytes(b"\0\0\r\n" + content[4:])

    assert (OURS, True) == (ours_on_debian.version(), sshfs_mounts(ours_on_debian))


def test_everything_else_is_in_its_place(ours_on_debian: DebianMachine) -> None:
    """
    Manual pages that man finds, a completion that bash finds, modules that Python finds.
    """
    man = ours_on_debian.run("man", "--where", "fusermount3").stdout
    client = ("/usr/bin/python3", "-I", "-c", "from fusermount_py import client, daemonize")
    completion = "/usr/share/bash-completion/completions/fusermount3"

    assert "/usr/share/man/man1/fusermount3.1.gz\n" == man
    ours_on_debian.run(*client, user=CALLER)
    assert "fusermount-py 0.1.0\n" == ours_on_debian.run("fusermount-py", "--version").stdout
    ours_on_debian.run("bash", "-c", f"source {completion} && complete -p fusermount3")
    ours_on_debian.run("bash", "-n", completion.replace("fusermount3", "fusermount-py"))
