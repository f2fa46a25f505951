"""What every verb of `fusermount-py` has."""

import click
import pytest

from fusermount_py.admin.command import main

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
