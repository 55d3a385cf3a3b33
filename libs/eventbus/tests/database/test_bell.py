"""A relay hears of a row when it is stored, by whichever process of the host."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from eventbus import Database, Outbox
from eventbus.database.bell import Pipe

from libs.eventbus.tests.support import OrderPlaced

# As the web of a service does, in a process of its own.
STORE = """
import sys
from eventbus import Database, Outbox
from tests.support import OrderPlaced
with Database(sys.argv[1]).write() as connection:
    Outbox("shop").add(connection, OrderPlaced(order_id="o-1"))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
def database(url: str) -> Database:
    database = Database(url)
    database.upgrade()
    return database


def test_a_row_that_another_process_stores_is_heard(database: Database, url: str) -> None:
    with database.bell.listening() as heard:
        heard.clear()
        silent = heard.wait(0)
        subprocess.run([sys.executable, "-c", STORE, url], cwd=Path(__file__).parents[2], check=True)
        rung = heard.wait(0)
        heard.clear()
        after = heard.wait(0)

    assert rung
    assert not silent
    assert not after


def test_a_transaction_that_adds_no_row_or_is_undone_is_not_heard(database: Database) -> None:
    with database.bell.listening() as heard:
        heard.clear()
        with database.write():
            pass
        with pytest.raises(ZeroDivisionError), database.write() as connection:
            Outbox("shop").add(connection, OrderPlaced(order_id="o-1"))
            raise ZeroDivisionError
        with database.write():
            pass

        assert not heard.wait(0)


def test_of_callers_who_share_a_transaction_the_row_of_each_is_heard(database: Database) -> None:
    with database.bell.listening() as heard:
        heard.clear()
        database.commit(lambda connection: Outbox("shop").add(connection, OrderPlaced(order_id="o-1")))

        assert heard.wait(0)


def test_ringing_waits_for_nobody_whether_one_listens_or_not(tmp_path: Path) -> None:
    bell = Pipe(tmp_path / "bell")
    bell.ring()
    with bell.listening() as heard:
        for _ in range(66_000):  # more than a pipe holds
            bell.ring()

        assert heard.wait(0)


def test_without_a_pipe_one_waits_in_vain_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bell = Pipe(tmp_path / "no such folder" / "bell")
    with caplog.at_level(logging.WARNING, "eventbus"):
        for _ in range(2):
            with bell.listening() as heard:
                bell.ring()
                heard.clear()

                assert not heard.wait(0)

    assert [record.message for record in caplog.records] == ["new rows are found late: there is no pipe"]
