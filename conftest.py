"""The real system for every test that asks for it: started when first wanted, on ports and in a folder of its own."""

from collections.abc import Iterator

import pytest
from stack import Settings, Stack


@pytest.fixture(scope="session")
def stack_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The one stack of this test session, with nothing started yet."""
    with Stack(Settings.isolated(tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.fixture(scope="session")
def broker(stack_of_session: Stack) -> str:
    """The bootstrap servers of a real Kafka."""
    stack_of_session.up("kafka")
    return stack_of_session.settings.kafka


@pytest.fixture(scope="session")
def stack(stack_of_session: Stack) -> Stack:
    """The whole system, running."""
    stack_of_session.up()
    return stack_of_session
