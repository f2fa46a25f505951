"""``fusermount-py demo``: a handshake on this machine, by this user, through the helper on PATH."""

import os
import tempfile

import click

from fusermount_py.admin import screen
from fusermount_py.admin.clock import Clock
from fusermount_py.admin.which_helper import which_helper
from fusermount_py.client.errors import HelperNotFound


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One object, for programs.")
def demo(*, as_json: bool) -> None:
    r"""
    Mount a small file system in a new temporary directory, show each step, and unmount it.

    As `make demo` does in a checkout, but with what is installed here.

    \b
    Example:  fusermount-py demo
    """
    from fusermount_py.admin.show import show  # the client and a server: 60 ms

    try:
        helper = which_helper()[0]
    except HelperNotFound as error:
        raise click.ClickException(f"{error} (fusermount-py doctor knows more)") from error
    with tempfile.TemporaryDirectory(prefix="fusermount-py-") as folder:
        mountpoint = os.path.join(os.path.realpath(folder), "mnt")
        os.mkdir(mountpoint)
        clock = Clock(silent=as_json)
        status = show(helper, mountpoint, clock)
    if as_json:
        screen.print_json({"status": status, "helper": helper, "steps": clock.steps})
    raise SystemExit(status)
