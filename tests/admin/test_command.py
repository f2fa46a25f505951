"""What every verb of `fusermount-py` has."""

from pathlib import Path

import click
import pytest

from fusermount_py.admin.command import main
from support.admin import Admin, Serve
from support.users import ROOT, User

CONTEXT = click.Context(main)
VERBS = main.list_commands(CONTEXT)


def verb(name: str) -> click.Command:
    command = main.get_command(CONTEXT, name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_an_example_and_an_answer_for_programs(name: str) -> None:
    """
    People copy examples, and scripts must not have to take tables apart.
    """
    command = verb(name)

    assert f"Example:  fusermount-py {name}" in (command.help or "").replace("sudo ", "")
    assert "--json" in [word for parameter in command.params for word in parameter.opts]


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_terminal_of_eighty_columns(name: str) -> None:
    """
    And none of it is lost where it does not: an example that wraps cannot be copied.
    """
    command = verb(name)
    text = command.get_help(click.Context(command, info_name=f"fusermount-py {name}"))

    assert [] == [line for line in text.splitlines() if len(line) > 80]


@pytest.mark.parametrize(
    ("surroundings", "status", "stderr"),
    [
        ('"$@" mounts >&-', 0, ""),
        ('"$@" mounts >/dev/full', 1, "fusermount-py: No space left on device\n"),
        ('"$@" mounts | true; exit ${PIPESTATUS[0]}', 1, ""),
        ('mkdir gone; cd gone; rmdir ../gone; "$@" unmount x', 1,
         "fusermount-py: No such file or directory\n"),
        ('ulimit -u 1; exec "$@" mounts', 1,
         "Error: this user may start no more threads (ulimit -u)\n"),
    ],
    ids=["stdout closed", "disk full", "reader gone", "directory gone", "no thread"],
)  # fmt: skip
def test_odd_surroundings_are_no_traceback(
    admin: Admin, serve: Serve, caller: User, home: Path,
    surroundings: str, status: int, stderr: str,
) -> None:  # fmt: skip
    """
    Scripts and services run it anywhere; what it could not say or do must be told by its status.
    """
    serve(home / "mountpoint", user=ROOT)  # whom the limit on the caller's processes is not for
    admin.command = ("bash", "-c", surroundings, "bash", *admin.command)

    result = admin.run(user=caller, cwd=home)

    assert (status, stderr) == (result.exit_status, result.stderr.decode())
