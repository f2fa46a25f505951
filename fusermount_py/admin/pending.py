"""``fusermount-py pending``: mounts that are being made, and what they wait for."""

import click

from fusermount_py.admin import handshake, screen, users
from fusermount_py.admin.handshake import Handshake

_HEADS = ("MOUNTPOINT", "HELPER", "CALLER", "CLIENT", "WAITS FOR", "SINCE")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def pending(*, as_json: bool) -> None:
    r"""
    Show mounts that are being made: helpers between their start and their last word.

    "proceed" means that the client has the device and has not said go on, "FUSE_INIT" that the
    server has not answered the kernel. CLIENT is who holds the other end of the helper's socket;
    only root may know that of a setuid helper.

    \b
    Example:  sudo fusermount-py pending
    """
    found = handshake.read_all()
    if as_json:
        screen.print_json([each.as_json() for each in found])
    elif found:
        screen.print_table(_HEADS, (_row(each) for each in found))
    else:
        click.echo("No mounts are being made.", err=not screen.is_terminal())


def _row(each: Handshake) -> tuple[str, ...]:
    return (
        each.mountpoint,
        f"{each.helper.pid} {each.helper.command}",
        users.name_of(each.helper.uid),
        _clients(each),
        each.waits_for,
        screen.duration(each.helper.age),
    )


def _clients(each: Handshake) -> str:
    if each.clients is None:
        return "?"
    return ", ".join(f"{client.pid} {client.command}" for client in each.clients) or "-"
