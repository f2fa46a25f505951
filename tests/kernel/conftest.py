"""Fixtures of the tests of the helper alone."""

from collections.abc import Callable
from typing import Any

import pytest

from support import flows
from support.program import Program, Result

Mount = Callable[..., Result]


@pytest.fixture(params=["classic", "sync-init"])
def mount(request: pytest.FixtureRequest, ours: Program) -> Mount:
    """
    Mounts in one call, as `flows.classic` does: the test runs in both turn orders.

    What is refused is refused before the device is sent, so both end alike.
    """
    flow = flows.classic if request.param == "classic" else flows.sync_init

    def mount(*words: Any, **how: Any) -> Result:
        return flow(ours, *words, **how)

    return mount
