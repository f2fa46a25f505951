"""``fusermount-py mounts``: every FUSE mount, and whether its server is alive."""

import click

from fusermount_py.admin import connections, screen, selection, users
from fusermount_py.admin.fuse_mount import FuseMount, read_all
from fusermount_py.admin.states import DEAD, HUNG
from fusermount_py.admin.watch import Watch

_HEADS = ("MOUNTPOINT", "TYPE", "SOURCE", "OWNER", "CONNECTION", "SERVER", "WAITING", "STATE")
_CLEAR = "\x1b[H\x1b[2J"


@click.command()
@click.option("--dead", is_flag=True, help="Only those whose server is gone.")
@click.option("--hung", is_flag=True, help="Only those whose server does not answer.")
@selection.user_option
@click.option("--ask", is_flag=True, help="Ask those of yours that would be unknown themselves.")
@click.option("--watch", is_flag=True, help="Stay, and redraw as mounts and servers come and go.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def mounts(
    *, dead: bool, hung: bool, user: int | None, ask: bool, watch: bool, as_json: bool
) -> None:
    r"""
    Show every FUSE mount of this mount namespace.

    No mount is touched: hung and dead ones are listed as fast as others. WAITING counts requests
    that the server has not answered. What this kernel or this user cannot know is "unknown", or ?;
    with --ask such a mount is asked, for half a second at most, without waiting for it here.

    \b
    Example:  fusermount-py mounts --dead --user alice
    """
    states = {state for state, given in ((DEAD, dead), (HUNG, hung)) if given}
    if not watch:
        _show(_of(states, _read(user, ask=ask)), as_json=as_json)
        return
    watching = Watch()
    while True:
        found = _read(user, ask=ask)
        if screen.is_terminal():
            click.echo(_CLEAR, nl=False)
        _show(_of(states, found), as_json=as_json)
        if watching.follow(server.pid for mount in found for server in mount.servers):
            watching.wait()


def _read(user: int | None, *, ask: bool) -> list[FuseMount]:
    return read_all(lambda entry: user in (None, entry.owner), ask=ask)


def _of(states: set[str], found: list[FuseMount]) -> list[FuseMount]:
    return [mount for mount in found if not states or mount.state in states]


def _show(found: list[FuseMount], *, as_json: bool) -> None:
    if as_json:
        screen.print_json([mount.as_json() for mount in found])
        return
    if not found:
        click.echo("No FUSE mounts.", err=not screen.is_terminal())
        return
    screen.print_table(_HEADS, (_row(mount) for mount in found))
    if not connections.are_shown():
        screen.complain(f"requests are not counted here; as root: {connections.HOW_TO_MOUNT}")


def _row(mount: FuseMount) -> tuple[str, ...]:
    return (
        mount.mountpoint + (" (covered)" if mount.is_covered else ""),
        mount.entry.fstype,
        mount.entry.source,
        users.name_of(mount.owner),
        str(mount.connection),
        _servers(mount),
        "?" if mount.waiting is None else str(mount.waiting),
        mount.state,
    )


def _servers(mount: FuseMount) -> str:
    if not mount.holders:
        return "-" if mount.state == DEAD else "?"
    first = mount.holders[0]
    more = f" +{len(mount.holders) - 1}" if len(mount.holders) > 1 else ""
    return f"{first.pid} {first.command}{more}"
