"""The real system for every test that asks for it: started when first wanted, on ports and in a folder of its own."""

import os
import signal
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from stack import Settings, Stack, postgres, processes
from stack.services import no_proxy

os.environ.update(no_proxy())
_RUN = "TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    """Mark all that this run starts, and end it on SIGTERM as on SIGINT, which a shell's background would ignore."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if _RUN not in os.environ:
        os.environ[_RUN] = uuid4().hex
        config.add_cleanup(_kill_what_is_left)


def _kill_what_is_left() -> None:
    # The processes of an interrupted `pytest -n` are killed before they have stopped what they started.
    processes.kill_marked({_RUN: os.environ.pop(_RUN)})


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A system of its own in which the fault scenarios happen; what is to be tried again waits one second."""
    environment = {"DEMO_FAULTS": "1", "RETRY_DELAY_S": "1"}
    with Stack(Settings.isolated(tmp_path_factory.mktemp("demo"), environment=environment)) as stack:
        stack.up()
        yield stack


class Postgres:
    """A real PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def session(self) -> psycopg.Connection:
        """Open a session of the test's own."""
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)

    def new_database(self) -> str:
        """Return the URL of tables of one's own: a schema, which takes milliseconds where a database takes hundreds."""
        schema = f"test_{uuid4().hex}"
        with self.session() as session:
            session.execute(f"CREATE SCHEMA {schema}")
        return f"{self.url}?options=-csearch_path%3D{schema}&application_name={schema}"


@pytest.fixture(scope="session")
def postgres_server(stack_of_session: Stack) -> Postgres:
    """A PostgreSQL; where none can be run, what asks for it is skipped with the reason."""
    if reason := postgres.objection():
        pytest.skip(reason)
    stack_of_session.up("postgres")
    return Postgres(postgres.url(stack_of_session.settings, "test"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Make URLs of databases with nothing in them: what asks for it runs on SQLite, and again on PostgreSQL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('database')}/service.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A database of the test's own, on SQLite and again on PostgreSQL."""
    return new_database()
