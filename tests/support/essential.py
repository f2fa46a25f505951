"""Skips that must not go unnoticed."""

import os
from typing import NoReturn

import pytest


def essential_skip(reason: str) -> NoReturn:
    """Skip the test on a machine that cannot run it; fail it in CI, where it must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"cannot run here, and in CI it must: {reason}", pytrace=False)
    pytest.skip(reason)
