import signal
import sqlite3
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eventbus import Database
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from libs.eventbus.tests.support import effects, effects_of, metadata, prepare, unique


def test_on_sqlite_threads_that_write_wait_for_each_other_and_lose_nothing(on_sqlite: Database) -> None:
    database = on_sqlite
    with database.write() as connection:
        connection.execute(insert(effects).values(order_id="0"))
    inside = 0
    seen_together = set()

    def add_one(_: int) -> None:
        nonlocal inside
        with database.write() as connection:
            inside += 1
            seen_together.add(inside)
            last = int(connection.execute(select(effects.c.order_id)).scalar_one())
            connection.execute(update(effects).values(order_id=str(last + 1)))
            inside -= 1

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(add_one, range(320)))

    assert effects_of(database) == ["320"]
    assert seen_together == {1}


def test_a_writer_delays_no_reader(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))
        # In a thread, so that a reader that waited would be seen by this test as one that does not come back.
        with ThreadPoolExecutor(1) as reader:
            seen = reader.submit(effects_of, database).result(timeout=60)

    assert seen == []
    assert effects_of(database) == ["o-1"]


def test_a_reader_sees_one_snapshot(database: Database) -> None:
    with database.read() as reading:
        before = reading.execute(select(effects)).all()
        with database.write() as writing:
            writing.execute(insert(effects).values(order_id="o-1"))
        after = reading.execute(select(effects)).all()

    assert before == after == []


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    with pytest.raises(LookupError), database.write() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))
        raise LookupError

    assert effects_of(database) == []


def test_on_sqlite_a_transaction_that_could_not_begin_does_not_block_the_next(
    on_sqlite: Database, tmp_path: Path
) -> None:
    database = on_sqlite
    with sqlite3.connect(tmp_path / "service.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"), database._writer.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA busy_timeout=1")  # type: ignore[union-attr]
            connection.begin()
        other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))

    assert effects_of(database) == ["o-1"]


def test_on_sqlite_what_is_committed_is_synced_to_disk(on_sqlite: Database) -> None:
    for side in (on_sqlite.write, on_sqlite.read):
        with side() as connection:
            journal = connection.execute(text("PRAGMA journal_mode")).scalar_one()
            synchronous = connection.execute(text("PRAGMA synchronous")).scalar_one()
            foreign_keys = connection.execute(text("PRAGMA foreign_keys")).scalar_one()

        assert (journal, synchronous, foreign_keys) == ("wal", 2, 1)


def test_on_sqlite_what_a_power_cut_may_undo_waits_for_no_disk_and_the_next_one_does(on_sqlite: Database) -> None:
    waits = []
    for synced in (False, True, False, True):
        with on_sqlite.write(synced=synced) as connection:
            waits.append(connection.execute(text("PRAGMA synchronous")).scalar_one() == 2)

    assert waits == [False, True, False, True]


def test_no_crash_of_a_process_undoes_what_is_not_synced(database: Database, database_url: str) -> None:
    script = """
import os, signal, sys
from eventbus import Database
from sqlalchemy import text
with Database(sys.argv[1]).write(synced=False) as connection:
    connection.execute(text("INSERT INTO effects (order_id) VALUES ('o-1')"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script, database_url])

    assert ended.returncode == -signal.SIGKILL
    assert effects_of(database) == ["o-1"]


def test_on_sqlite_no_connection_is_opened_before_the_first_use(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    files = list(tmp_path.iterdir())
    database.upgrade()
    database.close()

    assert files == []
    assert (tmp_path / "new.db").exists()


def test_on_sqlite_a_new_file_that_another_process_is_about_to_write_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("eventbus.database.sqlite.sleep", lambda _: other.execute("ROLLBACK"))
    database = Database(f"sqlite:///{path}")
    prepare(database, metadata)
    other.close()

    assert effects_of(database) == []
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///shop.db",
        "sqlite+nothing:///shop.db",
        "postgresql://ada:secret@host/db",
        "postgresql+psycopg2://ada:secret@host/db",
        "postgresql+psycopg://ada:secret@host",
        "postgresql+psycopg://ada:secret@host/",
        "mysql+nothing://ada:secret@host/db",
        "sqlite:/shop.db",
    ],
)
def test_a_url_of_another_kind_is_refused_with_what_belongs_there(url: str) -> None:
    with pytest.raises(ValueError, match=r"write sqlite:///path/to/file\.db or postgresql\+psycopg://user") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_an_error_does_not_show_what_was_to_be_stored(database: Database) -> None:
    private = unique("ada")
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_each ON effects (order_id)"))
        for _ in range(2):
            connection.execute(insert(effects).values(order_id=private))

    shown = "".join(traceback.format_exception(caught.value))
    assert "UNIQUE constraint failed" in shown or "duplicate key" in shown
    assert private not in shown


def test_a_connection_that_polls_sees_each_commit(database: Database) -> None:
    raw = database.polling_connection()
    seen = []
    for number in range(3):
        with database.write() as connection:
            connection.execute(insert(effects).values(order_id=str(number)))
        seen.append(raw.cursor().execute("SELECT count(*) FROM effects").fetchone()[0])
    raw.close()

    assert seen == [1, 2, 3]
