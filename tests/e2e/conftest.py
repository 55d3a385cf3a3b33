"""The system under test, seen through its public interfaces."""

import os

import pytest

from tests.e2e.shop import Shop
from tests.e2e.system import ComposeSystem, LocalSystem, System, docker_answers


@pytest.fixture(scope="session")
def session_system(request: pytest.FixtureRequest) -> System:
    """The local stack; with E2E_SYSTEM=compose the containers."""
    if os.environ.get("E2E_SYSTEM") != "compose":
        return LocalSystem(request.getfixturevalue("stack"))
    if not docker_answers():
        pytest.skip("there is no Docker engine with Compose on this machine")
    return ComposeSystem()


@pytest.fixture
def system(session_system: System) -> System:
    """The whole system, up and healthy, whatever the test before did to it."""
    session_system.up()
    return session_system


@pytest.fixture
def shop(system: System) -> Shop:
    """A customer's view of the system."""
    return Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)
