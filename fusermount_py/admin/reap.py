"""
``fusermount-py reap``: unmount what is dead.

That nobody holds its device says which mount may be dead; that it answers ENOTCONN says it is. Both
are needed: a device may be on its way to a server inside a socket, and an old kernel does not say
whose device is which.
"""

import os
from dataclasses import dataclass

import click

from fusermount_py.admin import aside, removal, screen
from fusermount_py.admin.fuse_mount import FuseMount, read_all
from fusermount_py.admin.states import DEAD, UNKNOWN
from fusermount_py.admin.watch import Watch
from fusermount_py.helper.mount_entry import MountEntry

# While requests wait, FUSE_INIT for one, a device may still change hands, which nobody tells: so
# look again, soon at first, then after ever longer pauses.
_LOOK_AGAIN_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reaped:
    """One dead mount and what became of it."""

    mount: FuseMount
    outcome: str  # unmounted, dead (with --dry-run), failed
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        return {
            "mountpoint": self.mount.mountpoint,
            "connection": self.mount.connection,
            "outcome": self.outcome,
            "reason": self.reason,
        }


@click.command()
@click.option("--watch", is_flag=True, help="Stay, and reap as servers die.")
@click.option("--dry-run", is_flag=True, help="Only say what is dead.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def reap(*, watch: bool, dry_run: bool, as_json: bool) -> None:
    r"""
    Unmount dead FUSE mounts: your own, or everyone's as root.

    Each is asked before it is taken, for half a second at most, and bind copies of it go as well.
    A mount that is alive, hung or starting stays.

    \b
    Example:  fusermount-py reap --dry-run
    """
    if watch and (as_json or dry_run):
        raise click.UsageError("--watch goes alone")
    if watch:
        _watch()
    reaped = _reap(read_all(_is_ours), dry_run=dry_run)
    if as_json:
        screen.print_json([each.as_json() for each in reaped])
    else:
        _tell(reaped)
    raise SystemExit(1 if any(each.outcome == "failed" for each in reaped) else 0)


def _is_ours(entry: MountEntry) -> bool:
    return os.getuid() in (0, entry.owner)


def _reap(mounts: list[FuseMount], *, dry_run: bool) -> list[Reaped]:
    """The topmost first: what is below comes to light."""
    reaped = []
    for mount in reversed(mounts):
        if mount.state not in (DEAD, UNKNOWN):
            continue
        if dry_run:
            state = mount.state if mount.is_covered else aside.ask(mount.entry)
            if state == DEAD:
                reaped.append(Reaped(mount, "dead"))
            continue
        failure = removal.take_dead(mount.entry)
        if failure is None:
            reaped.append(Reaped(mount, "unmounted"))
        elif mount.state == DEAD:
            reaped.append(Reaped(mount, "failed", failure.sentence))
    return reaped


def _tell(reaped: list[Reaped]) -> None:
    for each in reaped:
        if each.outcome == "failed":
            screen.complain(each.reason)
        else:
            name = screen.printable(each.mount.mountpoint)
            click.echo(f"{each.outcome} {name} (connection {each.mount.connection})")


def _watch() -> None:
    """Until a signal ends it."""
    watching = Watch()
    told: set[int] = set()  # what could not be reaped is told once
    pause = _LOOK_AGAIN_SECONDS
    while True:
        mounts = read_all(_is_ours)
        reaped = _reap(mounts, dry_run=False)
        _tell([each for each in reaped if each.mount.entry.id not in told])
        told = {each.mount.entry.id for each in reaped if each.outcome == "failed"}
        if watching.follow(server.pid for mount in mounts for server in mount.servers):
            is_asked = any(mount.waiting for mount in mounts)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if is_asked else _LOOK_AGAIN_SECONDS
            watching.wait(pause if is_asked else None)
