from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka_otel import AIOKafkaInstrumentor
from eventbus import Database
from eventbus.patience import Patience

from .support import Kafka, Recorded, Service, make_patience, metadata


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A service's database, in a file."""
    database = Database(f"sqlite:///{tmp_path}/service.db")
    database.create(metadata)
    yield database
    database.close()


@pytest.fixture
def patience(tmp_path: Path) -> Patience:
    return make_patience(tmp_path)


@pytest.fixture
def kafka(broker: str, tmp_path: Path) -> Kafka:
    return Kafka(broker, make_patience(tmp_path))


@pytest.fixture
def service(broker: str, database: Database, tmp_path: Path) -> Service:
    """A consumer group of the test's own."""
    return Service(broker, database, tmp_path)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """aiokafka is instrumented, as it is under opentelemetry-instrument."""
    recorded = Recorded()
    instrumentor = AIOKafkaInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.provider)
    yield recorded
    instrumentor.uninstrument()
