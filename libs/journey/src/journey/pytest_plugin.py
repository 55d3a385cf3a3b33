"""For pytest, which finds this by its entry point: `assert_journey` as a fixture, and nothing else."""

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def assert_journey() -> Callable[..., None]:
    """Fail where a trace is not exactly a chain: `assert_journey(trace, chain, remote_parent=None)`."""
    from journey.testing import assert_journey  # pays for what it imports only where somebody asks for it

    return assert_journey
