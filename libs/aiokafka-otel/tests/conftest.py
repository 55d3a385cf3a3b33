from collections.abc import Iterator

import pytest
from aiokafka_otel.id_generator import RepeatableIdGenerator
from opentelemetry.sdk.trace import TracerProvider

from .support import Kafka, Recorded, instrumented


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "own_environment: builds an environment; needed once, not for each Python")


@pytest.fixture
def kafka(broker: str) -> Kafka:
    return Kafka(broker)


@pytest.fixture
async def readme_topics(kafka: Kafka) -> Kafka:
    for name in "greetings", "replies":
        await kafka.topic(name=name)
    return kafka


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """aiokafka is instrumented, with the default settings unless the test has set others before."""
    with instrumented(Recorded()) as recorded:
        yield recorded


@pytest.fixture
def repeatable() -> Iterator[Recorded]:
    """The same, with the id generator that the package offers."""
    with instrumented(Recorded(TracerProvider(id_generator=RepeatableIdGenerator()))) as recorded:
        yield recorded
