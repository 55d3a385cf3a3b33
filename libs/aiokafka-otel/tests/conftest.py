from collections.abc import Iterator

import pytest
from aiokafka_otel import AIOKafkaInstrumentor

from .support import Kafka, Recorded


@pytest.fixture
def kafka(broker: str) -> Kafka:
    return Kafka(broker)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """aiokafka is instrumented, with the default settings unless the test has set others before."""
    recorded = Recorded()
    instrumentor = AIOKafkaInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracer_provider, meter_provider=recorded.meter_provider)
    yield recorded
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
