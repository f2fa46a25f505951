"""
A Debian machine to install packages on: this one, below an overlay that takes every change.

    machine = DebianMachine(folder)
    machine.dpkg("--install", package)
    machine.run("sshfs", ..., user=CALLER)

Commands run in a chroot of the overlay, inside the test run's own mount namespace.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from support import kernel, machine
from support.users import CALLER, ROOT, User

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
HELPER = Path("/usr/bin/fusermount3")


class DebianMachine:
    """Root's machine for one test; nothing of it is left when it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root"
        folder.mkdir()
        kernel.mount("tmpfs", folder, "tmpfs", options="mode=0755")
        layers = [folder / name for name in ("upper", "work", "root")]
        for layer in layers:
            layer.mkdir()
        options = f"lowerdir=/,upperdir={layers[0]},workdir={layers[1]}"
        kernel.mount("overlay", self.root, "overlay", options=options)
        for name in ("dev", "proc", "sys"):
            kernel.mount(f"/{name}", self.root / name, flags=kernel.MS_BIND | kernel.MS_REC)
        kernel.mount("tmpfs", self.root / "run", "tmpfs", options="mode=0755")
        # man's index of the whole machine, made anew at each step, is of no interest here.
        self.inside("/var/lib/man-db/auto-update").unlink(missing_ok=True)
        with self.inside("/etc/passwd").open("a") as names:
            names.writelines(
                f"test{user.uid}:x:{user.uid}:{user.gid}::/:/bin/sh\n" for user in machine.USERS
            )

    def close(self) -> None:
        for name in ("run", "sys", "proc", "dev", ""):
            kernel.umount(self.root / name)
        kernel.umount(self._folder)
        self._folder.rmdir()

    def inside(self, path: Path | str) -> Path:
        """Where this absolute path is, seen from outside."""
        return self.root / Path(path).relative_to("/")

    def run(
        self, *words: Path | str, user: User = ROOT, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in there, without a terminal; what it says is in the result."""

        def enter() -> None:
            os.chroot(self.root)
            os.chdir("/")
            user.become()

        result = subprocess.run(
            words, preexec_fn=enter, env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not (check and result.returncode), result.stdout + result.stderr
        return result

    def dpkg(self, action: str, *arguments: Path | str) -> "subprocess.CompletedProcess[str]":
        return self.run("dpkg", action, *(self.brought(each) for each in arguments))

    def dpkg_is_killed(self, action: str, package: Path | str) -> None:
        """Whoever kills it; `package` does so itself, say."""
        result = self.run("dpkg", action, self.brought(package), check=False)
        assert result.returncode == -9, result

    def brought(self, argument: Path | str) -> Path | str:
        """Packages lie outside; they are copied in."""
        if not isinstance(argument, Path):
            return argument
        shutil.copy(argument, self.inside("/run"))
        return Path("/run") / argument.name

    def files(self) -> dict[str, tuple[int, int, int, str]]:
        """Mode, owner, group and target of everything that was changed in /usr and /etc."""
        found = {}
        for folder in ("usr", "etc", "lib", "bin"):
            for path in sorted((self._folder / "upper" / folder).rglob("*")):
                name = "/" + str(path.relative_to(self._folder / "upper"))
                seen = self.inside(name)
                if not os.path.lexists(seen):
                    found[name] = (0, 0, 0, "gone")
                    continue
                status = os.lstat(seen)
                target = os.readlink(seen) if stat.S_ISLNK(status.st_mode) else ""
                found[name] = (status.st_mode, status.st_uid, status.st_gid, target)
        return found

    def setuid_helpers(self) -> list[str]:
        """Whatever is called fusermount in some way and would run as somebody else."""
        return sorted(
            path.name
            for path in self.inside("/usr/bin").glob("*fusermount*")
            if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)
        )

    def mode(self, path: Path | str = HELPER) -> tuple[str, int, int]:
        status = self.inside(path).stat()
        return f"{stat.S_IMODE(status.st_mode):04o}", status.st_uid, status.st_gid

    def version(self) -> str:
        """What fusermount3 says it is, to an ordinary user; "" if there is none."""
        if not self.inside(HELPER).exists():
            return ""
        return self.run(HELPER, "--version", user=CALLER).stdout.split()[-1]


def edited(package: Path, into: Path, *, version: str = "", preinst: str = "") -> Path:
    """The same package with another version, or with a line more at the end of its preinst."""
    content = into / "content"
    subprocess.run(["dpkg-deb", "-R", package, content], check=True)
    if version:
        control = content / "DEBIAN" / "control"
        control.write_text(
            re.sub("^Version: .*", f"Version: {version}", control.read_text(), flags=re.MULTILINE)
        )
    if preinst:
        with (content / "DEBIAN" / "preinst").open("a") as script:
            script.write(preinst + "\n")
    return built(content, into)


def fuse3_package(into: Path, version: str, folder: str) -> Path:
    """
    Debian's fuse3 as it is installed here, under a higher version.

    ``folder``: what it calls the place of fusermount3, "/bin" (Debian 12) or "/usr/bin" (13).
    """
    content = into / "content"
    scripts = content / "DEBIAN"
    scripts.mkdir(parents=True)
    listed = _output("dpkg", "-L", "fuse3").splitlines()
    for path in filter(os.path.lexists, listed):
        name = path.replace("/bin/", f"{folder}/", 1) if path.startswith("/bin/") else path
        target = content / name.lstrip("/")
        if os.path.isdir(path):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    (content / folder.lstrip("/") / "fusermount3").chmod(0o755)  # as Debian packs it
    for script in ("postinst", "preinst", "postrm", "prerm"):
        source = Path(f"/var/lib/dpkg/info/fuse3.{script}")
        if source.exists():
            shutil.copy(source, scripts / script)
    fields = _output("dpkg-query", "-s", "fuse3").splitlines()
    conffiles = fields.index("Conffiles:")
    (scripts / "conffiles").write_text("/etc/fuse.conf\n")
    kept = (*fields[:conffiles], *fields[conffiles + 2 :])
    control = [line for line in kept if not line.startswith(("Status:", "Version:"))]
    (scripts / "control").write_text("\n".join([*control, f"Version: {version}", ""]))
    return built(content, into)


def built(content: Path, into: Path) -> Path:
    package = into / "package.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", content, package],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(content)
    return package


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
