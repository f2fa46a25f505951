"""`make install`: what it puts where, what it refuses, and that uninstall is its inverse."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import machine
from support.users import User

PYTHON = os.path.realpath("/usr/bin/python3")
COMMAND = "bin/fusermount-py"


@pytest.fixture
def prefix(nothing_left: None) -> Iterator[Path]:
    path = machine.PREFIX / "another"
    yield path
    shutil.rmtree(path, ignore_errors=True)


def make(*words: str, **how: object) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-s", "-C", str(machine.SOURCE / "packaging"), *words]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # how: as run()
        command, env=environment, capture_output=True, text=True, check=False, **how
    )


def everything_below(path: Path) -> dict[str, os.stat_result]:
    return {
        os.path.relpath(os.path.join(folder, name), path): os.lstat(os.path.join(folder, name))
        for folder, folders, files in os.walk(path)
        for name in (*folders, *files)
    }


def test_the_tree_is_roots_and_can_be_read_but_not_changed(prefix: Path) -> None:
    """
    Whoever could change one of these files would be root; and python says what is wrong with
    a file it cannot read in a traceback. The installer's umask has no say.
    """
    assert 0 == make("install", f"PREFIX={prefix}", umask=0o077).returncode
    once = everything_below(prefix)
    assert 0 == make("install", f"PREFIX={prefix}", umask=0).returncode
    again = everything_below(prefix)

    for tree in (once, again):
        for name, status in tree.items():
            assert (0, 0) == (status.st_uid, status.st_gid), name
            mode = stat.S_IMODE(status.st_mode)
            if name == "bin/fusermount3":
                assert 0o4755 == mode
            elif stat.S_ISDIR(status.st_mode) or name in ("lib/fusermount-py/guard", COMMAND):
                assert 0o755 == mode, name
            elif not stat.S_ISLNK(status.st_mode):
                assert 0o644 == mode, name
    assert once.keys() == again.keys(), "the second is the same, and leaves nothing of its work"
    assert "fusermount3" == os.readlink(prefix / "bin" / "fusermount")


def test_the_tree_holds_what_the_helper_imports_and_nothing_else(prefix: Path) -> None:
    """
    The client, hello.py or a test in it would be code that root runs and nobody reads as such.
    """
    make("install", f"PREFIX={prefix}")

    tree = prefix / "lib" / "fusermount-py"
    names = {path.name for path in tree.iterdir()}
    (prctl,) = {name for name in names if name.startswith("_prctl.") and name.endswith(".so")}
    names -= {"__pycache__"}
    assert {"guard", "entry.py", "compiled_tree.py", "fusermount_py", prctl} == names
    package = tree / "fusermount_py"
    assert {"__init__.py", "__pycache__", "helper"} == {path.name for path in package.iterdir()}
    source = machine.SOURCE / "fusermount_py" / "helper"
    assert {path.relative_to(source) for path in source.rglob("*.py")} == {
        path.relative_to(package / "helper") for path in (package / "helper").rglob("*.py")
    }


def test_every_module_is_compiled_and_taken_without_looking_at_its_source(prefix: Path) -> None:
    """
    Compiling at each start would cost more than the mount; PEP 552 calls these unchecked-hash.
    """
    make("install", f"PREFIX={prefix}")

    tree = prefix / "lib" / "fusermount-py"
    modules = [path for path in tree.rglob("*.py") if path.name != "entry.py"]
    assert modules
    for module in modules:
        (cached,) = (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")
        assert 0b01 == int.from_bytes(cached.read_bytes()[4:8], "little")


def test_the_paths_of_the_installation_are_written_into_it(prefix: Path) -> None:
    """
    Whatever the caller's environment says, helper, guard and fuse.conf are found where they are.
    """
    make("install", f"PREFIX={prefix}", "FUSE_CONF=/etc/other.conf")

    entry = (prefix / "lib" / "fusermount-py" / "entry.py").read_text()
    assert '\nFUSE_CONF = "/etc/other.conf"\n' in entry
    assert f'\nHELPER = "{prefix}/bin/fusermount3"\n' in entry
    assert f'\nGUARD = "{prefix}/lib/fusermount-py/guard"\n' in entry


def test_uninstall_takes_what_install_brought(prefix: Path) -> None:
    """
    What is left of a setuid program is a setuid program.
    """
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    (prefix / "bin" / "other").touch()
    before = everything_below(prefix)
    make("install", f"PREFIX={prefix}")

    assert 0 == make("uninstall", f"PREFIX={prefix}").returncode
    assert before.keys() == everything_below(prefix).keys()


def test_a_packager_who_is_not_root_uses_destdir(prefix: Path, home: Path, caller: User) -> None:
    """
    Distributions build packages as ordinary users; the paths inside are those without DESTDIR.
    """
    checkout = home / "checkout"
    for folder in ("packaging", "fusermount_py"):
        shutil.copytree(machine.SOURCE / folder, checkout / folder)
    stage = home / "stage"
    result = make(
        "-C", str(checkout / "packaging"), "install", f"DESTDIR={stage}", "PREFIX=/usr",
        user=caller.uid, group=caller.gid, extra_groups=(),
    )  # fmt: skip

    assert (0, "") == (result.returncode, result.stderr)
    assert 0o4755 == stat.S_IMODE(os.stat(stage / "usr/bin/fusermount3").st_mode)
    assert (
        'HELPER = "/usr/bin/fusermount3"' in (stage / "usr/lib/fusermount-py/entry.py").read_text()
    )


def test_who_is_not_root_installs_nothing(prefix: Path, caller: User) -> None:
    """
    A helper without the setuid bit would look installed and refuse every mount.
    """
    prefix.mkdir(mode=0o777)
    result = make("install", f"PREFIX={prefix}", user=caller.uid, group=caller.gid)

    assert 2 == result.returncode
    assert "can only be installed by root" in result.stdout
    assert {} == everything_below(prefix)


@pytest.mark.parametrize("culprit", ["owner", "mode", "parent", "closed", "link", "target"])
def test_an_interpreter_that_users_could_change_is_refused(
    prefix: Path, home: Path, caller: User, culprit: str
) -> None:
    """
    The launcher executes it with root's rights in hand: its owner would own every machine.
    """
    folder = prefix / "python"
    folder.mkdir(parents=True)
    interpreter = folder / "python3"
    shutil.copy(PYTHON, interpreter)
    if culprit == "owner":
        os.chown(interpreter, caller.uid, -1)
    elif culprit == "mode":
        interpreter.chmod(0o775)
    elif culprit == "parent":
        folder.chmod(0o777)
    elif culprit == "closed":
        folder.chmod(0o700)
    elif culprit == "link":
        interpreter = home / "python3"
        interpreter.symlink_to(PYTHON)
    else:
        shutil.copy(PYTHON, home)
        interpreter = folder / "link"
        interpreter.symlink_to(home / Path(PYTHON).name)

    result = make("install", f"PREFIX={prefix}", f"PYTHON={interpreter}")

    assert 2 == result.returncode
    assert "refusing to run it with root's rights" in result.stderr
    assert not (prefix / "bin").exists()


def test_a_prefix_that_users_could_change_is_refused(home: Path) -> None:
    """
    Root's files in a user's directory are the user's to replace.
    """
    result = make("install", f"PREFIX={home / 'prefix'}")

    assert 2 == result.returncode
    assert f"install: {home} belongs to uid" in result.stderr
    assert not (home / "prefix").exists()


def everybodys(folder: Path) -> None:
    folder.chmod(0o777)


def everybodys_and_sticky(folder: Path) -> None:
    folder.chmod(0o1777)


def a_groups(folder: Path) -> None:
    folder.chmod(0o2775)


def a_users(folder: Path) -> None:
    os.chown(folder, 61001, -1)


def behind_a_users_link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")
    os.chown(folder, 61001, -1, follow_symlinks=False)


def behind_a_link_to_everybodys(folder: Path) -> None:
    behind_a_users_link(folder)
    os.chown(folder, 0, 0, follow_symlinks=False)
    folder.with_name("moved").chmod(0o777)


@pytest.mark.parametrize("place", ["bin", "lib", "lib/systemd/system"])
@pytest.mark.parametrize(
    "spoil",
    [
        everybodys,
        everybodys_and_sticky,
        a_groups,
        a_users,
        behind_a_users_link,
        behind_a_link_to_everybodys,
    ],
)
def test_a_folder_below_the_prefix_that_users_could_change_is_refused(
    prefix: Path, spoil: Callable[[Path], None], place: str
) -> None:
    """
    Whoever can rename there puts a tree of their own below the setuid program.
    """
    folder = prefix / place
    folder.mkdir(parents=True)
    spoil(folder)
    before = everything_below(prefix).keys()
    target = "install-admin" if place.endswith("system") else "install"

    result = make(target, f"PREFIX={prefix}")

    assert 2 == result.returncode
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("install: ")]
    assert line.startswith((f"install: {folder} ", f"install: {folder.with_name('moved')} "))
    assert line.endswith("; refusing to install there")
    assert before == everything_below(prefix).keys()


@pytest.mark.parametrize("target", ["install-helper", "uninstall"])
def test_no_hard_link_of_the_old_program_stays_setuid(
    prefix: Path, home: Path, target: str
) -> None:
    """
    Else who made one, where the kernel lets users link root's files, keeps a hole that was closed.
    """
    make("install-helper", f"PREFIX={prefix}")
    kept = home / "kept"
    kept.hardlink_to(prefix / "bin" / "fusermount3")

    assert 0 == make(target, f"PREFIX={prefix}").returncode

    assert 0 == stat.S_IMODE(kept.stat().st_mode)
    assert not list((prefix / "bin").glob(".*"))


def test_a_prefix_that_anybody_could_make_first_is_refused(prefix: Path) -> None:
    """
    A sticky folder keeps what root has in it, and not what root is about to make.
    """
    prefix.mkdir()
    prefix.chmod(0o1777)

    result = make("install", f"PREFIX={prefix}/new")

    assert 2 == result.returncode
    assert f"install: {prefix} can be changed by others than root" in result.stderr
    assert {} == everything_below(prefix)


def test_roots_prefix_in_a_sticky_folder_is_taken(prefix: Path) -> None:
    """
    As above: nobody else can rename or remove it there.
    """
    (prefix / "sticky" / "mine").mkdir(parents=True)
    (prefix / "sticky").chmod(0o1777)

    assert 0 == make("install", f"PREFIX={prefix}/sticky/mine").returncode


def test_nothing_is_anybodys_for_a_moment(prefix: Path, caller: User) -> None:
    """
    Who has opened a file while a lax umask left it open can write to it for ever.
    """
    prefix.mkdir()
    stop = prefix / "stop"
    look = f"""
import os
found = set()
while not os.path.exists({str(stop)!r}):
    for folder, folders, files in os.walk({str(prefix)!r}):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.access(path, os.W_OK):
                found.add(path)
print(*found)
"""
    with subprocess.Popen(
        [PYTHON, "-I", "-c", look], user=caller.uid, group=caller.gid, stdout=subprocess.PIPE
    ) as looking:
        results = [make(target, f"PREFIX={prefix}", umask=0) for target in ("install",) * 2]
        stop.touch()
        assert looking.stdout is not None
        found = looking.stdout.read()

    assert [0, 0] == [result.returncode for result in results]
    assert b"\n" == found


def test_what_users_have_left_there_is_replaced_and_not_written_to(
    prefix: Path, home: Path, caller: User
) -> None:
    """
    A file keeps its owner when it is written to, and a link leads elsewhere.
    """
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib/systemd/system").mkdir(parents=True)
    owned, victim = prefix / COMMAND, home / "victim"
    owned.touch()
    os.chown(owned, caller.uid, caller.gid)
    victim.write_text("of somebody's")
    (prefix / "lib/systemd/system/fusermount-py-reap.service").symlink_to(victim)

    assert 0 == make("install", f"PREFIX={prefix}").returncode

    assert 0 == owned.stat().st_uid
    assert "of somebody's" == victim.read_text()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (everybodys, "{} can be changed by everybody"),
        (a_users, "{} belongs to uid 61001"),
        (None, "{} leads out of {}"),
    ],
)
def test_a_packagers_folder_that_others_could_change_is_refused(
    prefix: Path, spoil: Callable[[Path], None] | None, words: str
) -> None:
    """
    What is put into a package there is root's everywhere; and a link in it to the machine's own
    folder would have this machine's changed.
    """
    stage, lib = prefix / "stage", prefix / "stage/usr/lib"
    lib.parent.mkdir(parents=True)
    if spoil is None:
        (prefix / "lib").mkdir()
        lib.symlink_to(prefix / "lib")
    else:
        lib.mkdir()
        spoil(lib)

    result = make("install-helper", f"DESTDIR={stage}", "PREFIX=/usr")

    assert 2 == result.returncode
    name = f"{lib}/" if spoil is None else lib
    assert f"install: {words.format(name, stage)}; refusing to install there" in result.stderr
    assert not (stage / "usr/bin").exists()


@pytest.mark.parametrize("word", ["PREFIX={}/a b", "FUSE_CONF=fuse.conf", 'FUSE_CONF=/"+x+"'])
def test_paths_that_would_be_read_as_code_are_refused(prefix: Path, word: str) -> None:
    """
    They end up in C and Python strings that run as root.
    """
    result = make("install", f"PREFIX={prefix}", word.format(prefix))

    assert 2 == result.returncode
    assert "is not a plain absolute path" in result.stderr
    assert not prefix.exists()


def test_an_interpreter_without_prctl_is_refused(prefix: Path) -> None:
    """
    Without it no privilege could be dropped, and every mount would be refused at run time.
    """
    bare = prefix / "bare"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", bare], check=True)
    result = make("install", f"PREFIX={prefix}", f"PYTHON={bare / 'bin' / 'python3'}")

    assert 2 == result.returncode
    assert "has no python-prctl" in result.stdout


def test_a_helper_that_starts_during_an_upgrade_meets_a_whole_tree(
    prefix: Path, caller: User
) -> None:
    """
    Upgrades happen while users mount; "No such file or directory" must not be their answer.
    """
    make("install", f"PREFIX={prefix}")
    helper = prefix / "bin" / "fusermount3"
    with subprocess.Popen(
        ["make", "-s", "-C", machine.SOURCE / "packaging", "install", f"PREFIX={prefix}"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    ) as upgrade:
        answers = set()
        while upgrade.poll() is None:
            result = subprocess.run(
                [helper, "--wrong"], user=caller.uid, env={}, capture_output=True, check=False
            )
            answers.add((result.returncode, result.stdout, result.stderr))

    sentence = f"{helper}: unrecognized option '--wrong'\n".encode()
    assert {(1, b"", sentence)} == answers


def test_the_suite_runs_on_the_interpreter_that_is_installed() -> None:
    """
    The helper must be tested on what it will run on.
    """
    assert os.path.realpath(sys.executable) == PYTHON
