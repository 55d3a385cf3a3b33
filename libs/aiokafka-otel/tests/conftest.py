from collections.abc import Iterator

import pytest
from aiokafka_otel import AIOKafkaInstrumentor

from .support import Kafka, Recorded


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
    recorded = Recorded()
    instrumentor = AIOKafkaInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracer_provider, meter_provider=recorded.meter_provider)
    yield recorded
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
