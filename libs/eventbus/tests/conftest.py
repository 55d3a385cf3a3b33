import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka_otel import AIOKafkaInstrumentor
from eventbus import Database
from eventbus.process.patience import Patience

from libs.eventbus.tests.operating import Operator
from libs.eventbus.tests.support import Kafka, Recorded, Service, make_patience, metadata, prepare, unique


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A service's database: a SQLite file, then one on PostgreSQL."""
    database = Database(database_url)
    prepare(database, metadata)
    yield database
    database.close()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Database]:
    """For what only SQLite promises."""
    database = Database(f"sqlite:///{tmp_path}/service.db")
    prepare(database, metadata)
    yield database
    database.close()


@pytest.fixture
def on_postgresql(postgres_server: Any) -> Iterator[Database]:
    """For what only PostgreSQL promises."""
    database = Database(postgres_server.new_database())
    prepare(database, metadata)
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


@pytest.fixture
def operator(kafka: Kafka) -> Iterator[Operator]:
    """An operator of a group of the test's own, which has no letters yet."""
    with asyncio.Runner() as runner:
        yield Operator(kafka, unique("billing"), runner).create_letters()
