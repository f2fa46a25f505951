"""
The admin's command, as people run it: a process of its own, as any user, without a terminal.

    serve(mountpoint).peer.kill()
    assert "dead" == admin.row(mountpoint)["state"]
"""

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from support import machine
from support.mount_table import mount_at
from support.peer import Peer
from support.program import PATIENCE, Program, Result
from support.users import ROOT, PathLike, User


class Admin:
    """Runs ``fusermount-py`` by the distribution's interpreter, with its click and pyroute2."""

    def __init__(self, helper: str) -> None:
        self.environment = {
            "PATH": f"{Path(helper).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(machine.SITE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        self.command: tuple[str, ...] = ("/usr/bin/python3", "-m", "fusermount_py.admin")
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, *arguments: PathLike, user: User = ROOT, **popen: Any
    ) -> "subprocess.Popen[bytes]":
        """Start it; it is ended after the test."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            user=user.uid,
            group=user.gid,
            extra_groups=user.groups,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **{"cwd": "/", **popen},
        )
        self._started.append(process)
        return process

    def run(self, *arguments: PathLike, user: User = ROOT, **popen: Any) -> Result:
        """Run it to its end."""
        process = self.start(*arguments, user=user, **popen)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return Result(process.returncode, stdout, stderr)

    def json(self, *arguments: PathLike, user: User = ROOT, **popen: Any) -> Any:
        """What it says with ``--json``."""
        result = self.run(*arguments, "--json", user=user, **popen)
        assert b"" == result.stderr
        return json.loads(result.stdout)

    def row(self, mountpoint: PathLike, user: User = ROOT) -> dict[str, Any]:
        """What ``mounts`` knows of the one mount at ``mountpoint``."""
        found = self.json("mounts", user=user)
        (row,) = [row for row in found if row["mountpoint"] == os.fsdecode(mountpoint)]
        assert isinstance(row, dict)
        return row

    def clean_up(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


class Served:
    """A mount and its server."""

    def __init__(self, peer: Peer, mountpoint: Path) -> None:
        self.peer = peer
        self.mountpoint = mountpoint
        self.connection = int(mount_at(mountpoint).device.partition(":")[2])


class Serve:
    """Mounts as an ordinary user, and serves."""

    def __init__(self, program: Program, user: User) -> None:
        self._program = program
        self._user = user

    def __call__(
        self, mountpoint: Path, options: str = "fsname=demo,subtype=demo", **how: Any
    ) -> Served:
        mountpoint.mkdir(exist_ok=True)
        os.chown(mountpoint, self._user.uid, self._user.gid)
        result = self._program.mount(mountpoint, options, user=self._user)
        assert (0, b"") == (result.exit_status, result.stderr)
        assert result.device is not None
        peer = self._program.serve(result.device, **{"user": self._user, **how})
        result.device.close()
        if how.get("init", 0) == 0:
            self._user.call(os.stat, mountpoint)  # FUSE_INIT is answered
        return Served(peer, mountpoint)


class Asking:
    """A process that waits for a server that never answers STATFS, until the connection ends."""

    def __init__(self, user: User, mountpoint: Path) -> None:
        self.pid = os.fork()  # no thread: what it forks would hold the pipes of a Popen elsewhere
        if self.pid == 0:
            user.become()
            try:
                os.statvfs(mountpoint)
            except OSError as error:
                os._exit(error.errno or 0)
            os._exit(0)

    def errno(self) -> int:
        """What it got in the end."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


DISCONNECTED = (errno.ENOTCONN, errno.ECONNABORTED)
