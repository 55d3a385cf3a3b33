"""The system under test, seen through its public interfaces."""

import os

import pytest

from tests.e2e.shop import Shop
from tests.e2e.system import ComposeSystem, LocalSystem, System

IN_CONTAINERS = os.environ.get("E2E_SYSTEM") == "compose"
# What needs containers, and what needs the local stack, is no test of the other.
collect_ignore = (
    [
        "test_doctor.py",
        "test_journey.py",
        "test_stock.py",
        "test_processes.py",
        "test_scenarios.py",
        "test_replicas.py",
        "test_operations.py",
    ]
    if IN_CONTAINERS
    else ["test_compose.py", "test_volumes.py"]
)


@pytest.fixture(scope="session")
def session_system(request: pytest.FixtureRequest) -> System:
    """The local stack; with E2E_SYSTEM=compose the containers."""
    if not IN_CONTAINERS:
        return LocalSystem(request.getfixturevalue("stack"))
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


@pytest.fixture
def containers(system: System) -> ComposeSystem:
    assert isinstance(system, ComposeSystem)
    return system
