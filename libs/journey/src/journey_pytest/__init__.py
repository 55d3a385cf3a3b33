"""For pytest, which finds this by its entry point: `assert_journey` as a fixture, and nothing else.

A package of its own, because every test session imports it: `journey` is imported only where somebody asks for it.
"""

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def assert_journey() -> Callable[..., None]:
    """Fail where a trace is not exactly a chain: `assert_journey(trace, chain, remote_parent=None)`."""
    from journey.testing import assert_journey

    return assert_journey
