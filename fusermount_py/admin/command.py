"""The command ``fusermount-py``: the group of its verbs, each imported when it is called."""

import importlib

import click

from fusermount_py import __version__

# verb: what the list of verbs says of it
_VERBS = {
    "mounts": "every FUSE mount, its server, and whether that is alive",
    "pending": "mounts being made: which helper waits, for whom, for what",
    "unmount": "unmount, and say who keeps a busy one busy",
    "abort": "end a connection whose server hangs",
    "reap": "unmount what is dead",
    "doctor": "why can't I mount?",
    "demo": "the handshake between helper, server and kernel, live",
    "trace": "run a FUSE program and show how it and its helper talk",
}


class _Verbs(click.Group):
    """Knows the verbs by name; only the one that is called is loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click calls it so
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"fusermount_py.admin.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  # tells the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click calls it so
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    r"""
    See, repair and understand FUSE mounts, without ever waiting for a hung one.

    Each verb has --help with an example, and --json for programs. Exit status: 0 done, 1 not done
    or something is wrong, 2 the command line is wrong.

    \b
    Completion for bash:  eval "$(_FUSERMOUNT_PY_COMPLETE=bash_source fusermount-py)"
    """
