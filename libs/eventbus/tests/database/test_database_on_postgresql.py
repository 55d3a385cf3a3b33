"""What a server can do that a file cannot: hang, be away, serve several writers."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from eventbus import Database
from eventbus.database import postgresql
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import InternalError, OperationalError

from libs.eventbus.tests.support import effects, effects_of


@pytest.fixture
def impatient(postgres_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Database]]:
    """Make a database some of whose bounds are as the test says."""
    made: list[Database] = []

    def make(*, answer_s: float = postgresql._ANSWER_TIMEOUT_S, **session: str) -> Database:
        for name, value in session.items():
            monkeypatch.setitem(postgresql._SESSION, name, value)
        monkeypatch.setattr(postgresql, "_ANSWER_TIMEOUT_S", answer_s)
        database = Database(postgres_server.new_database())
        made.append(database)
        with database.write() as connection:
            effects.create(connection)
        return database

    yield make
    for database in made:
        database.close()


def lock_effects(connection: Connection) -> None:
    connection.execute(text("LOCK TABLE effects IN EXCLUSIVE MODE"))


def test_a_lock_that_somebody_keeps_is_not_waited_for_for_ever(impatient: Callable[..., Database]) -> None:
    database = impatient(lock_timeout="200ms")
    with database.write() as holder:
        lock_effects(holder)
        with pytest.raises(OperationalError, match="lock timeout"), database.write() as connection:
            connection.execute(insert(effects).values(order_id="o-1"))


def test_who_hangs_inside_of_a_transaction_loses_it_and_its_locks(impatient: Callable[..., Database]) -> None:
    database = impatient(idle_in_transaction_session_timeout="200ms")
    with pytest.raises(database.errors), database.write() as hanging:
        lock_effects(hanging)
        with database.write() as connection:
            connection.execute(insert(effects).values(order_id="o-1"))
        hanging.execute(insert(effects).values(order_id="too late"))

    assert effects_of(database) == ["o-1"]


def test_a_statement_that_does_not_end_is_ended(impatient: Callable[..., Database]) -> None:
    database = impatient(statement_timeout="200ms")
    with pytest.raises(OperationalError, match="statement timeout"), database.write() as connection:
        connection.execute(text("SELECT pg_sleep(10)"))


def test_a_server_that_hangs_is_given_up_and_its_late_answer_is_not_taken_for_another(
    impatient: Callable[..., Database],
) -> None:
    database = impatient(answer_s=0.5)
    with pytest.raises(OperationalError, match=r"did not answer within 0\.5 s"), database.write() as connection:
        server: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        os.kill(server, signal.SIGSTOP)
        try:
            connection.execute(text("SELECT 'late'"))
        finally:
            os.kill(server, signal.SIGCONT)
    with database.write() as connection:
        later = connection.execute(text("SELECT 'later'")).scalar_one()

    assert later == "later"


@pytest.mark.parametrize("silent", [True, False])
def test_a_server_that_is_not_there_is_known_soon(silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_CONNECT_TIMEOUT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if not silent:
            listening.close()
        database = Database(f"postgresql+psycopg://ada:secret@127.0.0.1:{port}/shop")
        with pytest.raises(OperationalError) as caught, database.read():
            pass

    assert "secret" not in str(caught.value)


def test_a_process_whose_server_is_not_there_ends_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SystemExit) as end:
        Database(f"postgresql+psycopg://ada:secret@127.0.0.1:{port}/shop").upgrade()

    said = str(end.value.code)
    assert said.startswith("DATABASE_URL: the database cannot be used: ") and "refused" in said
    assert "\n" not in said and "secret" not in said


def test_sessions_that_the_server_ended_are_replaced(on_postgresql: Database) -> None:
    with on_postgresql.write() as one, on_postgresql.write() as other:
        for connection in (one, other):
            connection.execute(insert(effects).values(order_id="o-1"))
    with on_postgresql.write() as connection:
        ended = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = current_setting('application_name')"
            )
        ).all()
    with on_postgresql.write() as one, on_postgresql.read() as other:
        answers = [connection.execute(text("SELECT 1")).scalar_one() for connection in (one, other)]

    assert len(ended) == 1
    assert answers == [1, 1]


def test_what_the_url_says_counts_more(postgres_server: Any) -> None:
    url = postgres_server.new_database().replace("options=", "options=-clock_timeout%3D7s%20")
    database = Database(f"{url}&connect_timeout=3")
    with database.read() as connection:
        waits = [
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "fsync")
        ]

    assert waits == ["7s", "20s", "15s", "on"]
    database.close()


def test_what_a_power_cut_may_undo_waits_for_no_disk_and_the_next_one_does(on_postgresql: Database) -> None:
    waits = []
    for synced in (False, True, False, True):
        with on_postgresql.write(synced=synced) as connection:
            waits.append(connection.execute(text("SHOW synchronous_commit")).scalar_one())

    assert waits == ["off", "on", "off", "on"]


def test_a_reader_cannot_write(on_postgresql: Database) -> None:
    with pytest.raises(InternalError, match="read-only"), on_postgresql.read() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))


def test_sixteen_threads_write_at_once_and_a_row_that_is_updated_first_makes_them_wait(
    on_postgresql: Database,
) -> None:
    threads = 16
    with on_postgresql.write() as connection:
        connection.execute(insert(effects).values(id=1, order_id="0"))
    line = Barrier(threads)

    def add_some(_: int) -> None:
        for _ in range(10):
            with on_postgresql.write() as connection:
                line.wait(timeout=60)  # all of them are inside of a transaction
                connection.execute(update(effects).values(handled_by="me"))
                last = int(connection.execute(text("SELECT order_id FROM effects")).scalar_one())
                connection.execute(update(effects).values(order_id=str(last + 1)))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add_some, range(threads)))

    assert effects_of(on_postgresql) == ["160"]
