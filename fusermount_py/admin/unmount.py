"""``fusermount-py unmount``: by path or connection, with a reason when it does not work."""

import os

import click

from fusermount_py.admin import (
    connections,
    fuse_mount,
    removal,
    screen,
    selection,
    users,
    users_of_mount,
)
from fusermount_py.admin.abort import offer_fusectl
from fusermount_py.admin.fuse_mount import FuseMount, read_all
from fusermount_py.admin.same_mount import is_still_there
from fusermount_py.admin.states import DEAD
from fusermount_py.helper.kernel import mount_table


@click.command()
@click.argument(
    "paths", metavar="[PATH|CONNECTION]...", nargs=-1, shell_complete=selection.complete
)
@click.option("--lazy", is_flag=True, help="Detach at once; it ends when nobody uses it any more.")
@click.option("--force", is_flag=True, help="Abort the connection first: for a server that hangs.")
@click.option("--all", "everything", is_flag=True, help="All that --dead and --user describe.")
@click.option("--dead", is_flag=True, help="With --all: those whose server is gone.")
@selection.user_option
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def unmount(
    *,
    paths: tuple[str, ...],
    lazy: bool,
    force: bool,
    everything: bool,
    dead: bool,
    user: int | None,
    as_json: bool,
) -> None:
    r"""
    Unmount FUSE file systems, hung and dead ones included.

    A number is a connection, as `mounts` shows it: all its mounts are taken. When a mount is busy,
    the processes that use it are named.

    \b
    Example:  fusermount-py unmount --force ~/remote
    """
    if bool(paths) == everything or (everything and not (dead or user is not None)):
        raise click.UsageError("give mountpoints, or --all together with --dead or --user")
    if everything:
        chosen = [
            mount
            for mount in reversed(read_all(lambda entry: user in (None, entry.owner), ask=dead))
            if not dead or mount.state == DEAD
        ]
    else:
        chosen = selection.find(paths)
    if force:
        offer_fusectl()
    failures = [_unmount(mount, lazy=lazy, force=force) for mount in chosen]
    if as_json:
        screen.print_json(
            [
                {"mountpoint": mount.mountpoint, "unmounted": not lines, "reason": lines}
                for mount, lines in zip(chosen, failures, strict=True)
            ]
        )
    for line in (line for lines in failures for line in lines if not as_json):
        screen.complain(line)
    raise SystemExit(1 if any(failures) else 0)


def _unmount(mount: FuseMount, *, lazy: bool, force: bool) -> list[str]:
    """Take it; what went wrong as lines for people."""
    name = mount.mountpoint
    if os.getuid() not in (0, mount.owner):
        owner = users.name_of(mount.owner)
        return [f"{name} was mounted by {owner}: only {owner} or root may unmount it"]
    if fuse_mount.is_covered(mount.entry):
        return [f"{name} is covered by another mount: unmount that one first"]
    if force:
        try:
            with connections.Held(mount.connection) as held:
                if is_still_there(mount.entry):
                    held.abort()
        except OSError as error:
            return [f"connection {mount.connection} of {name} was not aborted: {error.strerror}"]
    failure = removal.unmount(mount.entry, lazy=lazy)
    if failure is None:
        return []
    return [failure.sentence, *(_what_would_help(mount) if failure.is_busy else ())]


def _what_would_help(mount: FuseMount) -> list[str]:
    found = users_of_mount.find(mount.entry)
    nested = users_of_mount.mounts_on(mount.entry, mount_table.entries())
    lines = [f"  {user.pid} {user.command}: {user.how}" for user in found]
    lines += [f"  {path} is mounted on it: unmount that first" for path in nested]
    if not lines:
        lines = [
            "  who uses it cannot be seen from here" + ("" if os.getuid() == 0 else "; as root")
        ]
    return [*lines, "  end what uses it, or detach it with --lazy"]
