"""Fixtures for the admin's command: see support/admin.py."""

import subprocess
from collections.abc import Iterator

import pytest

from support.admin import Admin, Serve
from support.essential import essential_skip
from support.program import Program
from support.users import User


@pytest.fixture
def admin(nothing_left: None, installed_helper: str) -> Iterator[Admin]:
    missing = "import click, pyroute2"
    if subprocess.run(
        ["/usr/bin/python3", "-c", missing], check=False, capture_output=True
    ).returncode:
        essential_skip("needs python3-click and python3-pyroute2")
    command = Admin(installed_helper)
    yield command
    command.clean_up()


@pytest.fixture
def caller() -> User:
    """Not the caller of other tests: their processes on the same machine hide from this one."""
    return User(61071, 61071)


@pytest.fixture
def serve(ours: Program, caller: User) -> Serve:
    return Serve(ours, caller)
