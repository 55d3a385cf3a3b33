"""The assertion as a fixture of pytest, which finds this module by its entry point."""

from collections.abc import Callable

import pytest

from journey import testing


@pytest.fixture(scope="session")
def assert_journey() -> Callable[..., None]:
    """Fail where a trace is not exactly a chain: `assert_journey(trace, chain, remote_parent=None)`."""
    return testing.assert_journey
