"""``fusermount-py abort``: end a connection whose server does not answer."""

import os
import subprocess
import sys

import click

from fusermount_py.admin import connections, screen, selection, users
from fusermount_py.admin.fuse_mount import FuseMount
from fusermount_py.admin.same_mount import is_still_there


@click.command()
@click.argument("target", metavar="PATH|CONNECTION", shell_complete=selection.complete)
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="One object, for programs.")
def abort(*, target: str, yes: bool, as_json: bool) -> None:
    r"""
    Abort a FUSE connection: all that waits for its server fails at once.

    The mount stays, and is dead; `unmount` or `reap` takes it. Data that the server has not
    written is lost. Shows first what waits there.

    \b
    Example:  fusermount-py abort ~/remote
    """
    offer_fusectl()
    mounts = _mounts_of(target)
    connection = mounts[0].connection if mounts else int(target)
    try:
        with connections.Held(connection) as held:
            if not all(is_still_there(mount.entry) for mount in mounts):
                raise click.ClickException(f"{screen.printable(target)} has gone just now")
            waiting = connections.waiting(connection)
            if not as_json:
                _show(connection, mounts, waiting)
            if not yes:
                _ask()
            held.abort()
    except OSError as error:
        raise click.ClickException(
            f"connection {connection} was not aborted: {error.strerror}{_hint(mounts)}"
        ) from error
    if as_json:
        paths = [mount.mountpoint for mount in mounts]
        screen.print_json({"connection": connection, "mountpoints": paths, "waiting": waiting})
    else:
        click.echo(f"Connection {connection} is aborted.")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: give --yes to abort")
    click.confirm("Abort it?", abort=True, err=True)


def _mounts_of(target: str) -> list[FuseMount]:
    """None of them, if a number is a connection whose mounts are detached or elsewhere."""
    try:
        return selection.find((target,))
    except selection.NoSuchMount:
        if target.isascii() and target.isdecimal() and connections.exists(int(target)):
            return []
        raise


def _show(connection: int, mounts: list[FuseMount], waiting: int | None) -> None:
    click.echo(f"Connection {connection}:")
    for mount in mounts:
        owner = users.name_of(mount.owner)
        click.echo(f"  {screen.printable(mount.mountpoint)}  {mount.entry.fstype} of {owner}")
    if not mounts:
        click.echo("  no mount of it is left in this namespace")
    for holder in mounts[0].holders if mounts else ():
        stopped = ", stopped" if holder.is_stopped else ""
        click.echo(f"  server {holder.pid} {screen.printable(holder.command)}{stopped}")
    requests = "an unknown number of" if waiting is None else str(waiting)
    click.echo(f"  {requests} requests wait for an answer")


def _hint(mounts: list[FuseMount]) -> str:
    if os.getuid() == 0:
        return ""
    owners = {users.name_of(mount.owner) for mount in mounts}
    return f" (it belongs to {' '.join(sorted(owners)) or 'another user'}; root may)"


def offer_fusectl() -> None:
    """Where fusectl is not mounted, ask root at a terminal to mount it, and tell all others how."""
    if connections.are_shown():
        return
    if os.getuid() == 0 and sys.stdin.isatty():
        click.echo("The kernel's list of FUSE connections (fusectl) is not mounted.", err=True)
        click.confirm(f"Run {connections.HOW_TO_MOUNT}?", abort=True, err=True)
        subprocess.run(connections.HOW_TO_MOUNT.split(), check=True)  # noqa: S603  # fixed words
        return
    raise click.ClickException(
        f"no FUSE connection can be seen here; as root: {connections.HOW_TO_MOUNT}"
    )
