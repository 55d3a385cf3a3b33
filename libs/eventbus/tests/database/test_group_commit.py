"""Callers that share a transaction on SQLite: each has its own answer, and an answer is a commit."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from eventbus import Database
from eventbus.database.group_commit import MAX_CALLERS, GroupCommit
from sqlalchemy import Column, Connection, ForeignKey, LargeBinary, MetaData, String, Table, insert, text
from sqlalchemy.exc import IntegrityError, OperationalError, TimeoutError
from stack.polling import wait_until

from libs.eventbus.tests.support import HANGS_AFTER_S, effects, effects_of, prepare

Work = Callable[[Connection], Any]

current_caller: ContextVar[int] = ContextVar("current_caller")
further = MetaData()
large = Table("large", further, Column("value", LargeBinary))
child = Table(
    "child",
    further,
    Column("parent", String(10), ForeignKey("parent.name", deferrable=True, initially="DEFERRED")),
)
Table("parent", further, Column("name", String(10), primary_key=True))


def add(name: str, then: BaseException | None = None) -> Work:
    def work(connection: Connection) -> str:
        connection.execute(insert(effects), {"order_id": name})
        if then:
            raise then
        return f"answer to {name}"

    return work


def together(database: Database, *works: Work) -> tuple[list[Future[Any]], int]:
    """Let all of them wait, in this order, and then write; return what has become of each, and how many transactions.

    The first one leads: it waits for the connection, and the others for it.
    """
    group = database._group
    assert group
    statements: list[str] = []
    outcomes: list[Future[Any]] = []

    def next_one_waits() -> str | None:
        return None if group._led and len(group._waiting) == len(outcomes) - 1 else f"{len(group._waiting)} wait"

    def commit(number: int, work: Work) -> Any:
        current_caller.set(number)
        return database.commit(work)

    with ThreadPoolExecutor(len(works)) as threads, database.write() as held:
        held.connection.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr]
        for number, work in enumerate(works):
            outcomes.append(threads.submit(commit, number, work))
            wait_until("the next one waits", next_one_waits, timeout=HANGS_AFTER_S)
    return outcomes, sum(statement.startswith("BEGIN") for statement in statements)


def test_on_sqlite_a_caller_alone_has_a_plain_transaction_in_its_own_thread(on_sqlite: Database) -> None:
    statements: list[str] = []

    def work(connection: Connection) -> int:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        add("0")(connection)
        return threading.get_ident()

    assert on_sqlite.commit(work) == threading.get_ident()
    assert [statement.split()[0] for statement in statements] == ["INSERT", "COMMIT"]


def test_on_sqlite_callers_that_come_meanwhile_share_a_transaction(on_sqlite: Database) -> None:
    names = [f"{number:02}" for number in range(16)]
    outcomes, transactions = together(on_sqlite, *map(add, names))

    assert [outcome.result() for outcome in outcomes] == [f"answer to {name}" for name in names]
    assert effects_of(on_sqlite) == names
    assert transactions == 1


def test_on_sqlite_a_transaction_takes_a_bounded_number_of_callers(on_sqlite: Database) -> None:
    names = [f"{number:03}" for number in range(MAX_CALLERS + 2)]
    outcomes, transactions = together(on_sqlite, *map(add, names))

    assert [outcome.result() for outcome in outcomes] == [f"answer to {name}" for name in names]
    assert effects_of(on_sqlite) == names
    assert transactions == 2


@pytest.mark.parametrize("error", [LookupError("mine"), SystemExit("mine")], ids=["error", "exit"])
@pytest.mark.parametrize("place", range(3), ids=["first", "in the middle", "last"])
def test_on_sqlite_a_caller_that_fails_fails_alone(on_sqlite: Database, place: int, error: BaseException) -> None:
    works = [add(str(number), error if number == place else None) for number in range(3)]
    outcomes, _ = together(on_sqlite, *works)

    assert outcomes.pop(place).exception() is error
    assert [outcome.exception() for outcome in outcomes] == [None, None]
    assert effects_of(on_sqlite) == [str(number) for number in range(3) if number != place]


def test_on_sqlite_an_error_of_the_database_is_that_of_the_caller_whose_statement_it_was(on_sqlite: Database) -> None:
    with on_sqlite.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_each ON effects (order_id)"))
    outcomes, transactions = together(on_sqlite, *map(add, ["0", "1", "0", "2"]))

    assert isinstance(outcomes.pop(2).exception(), IntegrityError)
    assert [outcome.exception() for outcome in outcomes] == [None, None, None]
    assert effects_of(on_sqlite) == ["0", "1", "2"]
    assert transactions == 1


def test_on_sqlite_each_work_runs_in_the_context_of_its_caller(on_sqlite: Database) -> None:
    outcomes, transactions = together(on_sqlite, *[lambda _: current_caller.get()] * 8)

    assert [outcome.result() for outcome in outcomes] == list(range(8))
    assert transactions == 1


def test_on_sqlite_a_full_disk_costs_only_the_caller_who_met_it(on_sqlite: Database) -> None:
    prepare(on_sqlite, further)
    with on_sqlite.write() as connection:  # the writing side has one connection, which keeps the setting
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 8}"))

    def fill(connection: Connection) -> None:
        connection.execute(insert(large), {"value": bytes(10**6)})

    outcomes, transactions = together(on_sqlite, add("0"), add("1"), fill, add("3"))

    met = outcomes.pop(2).exception()
    assert isinstance(met, OperationalError) and "full" in str(met)
    assert [outcome.result() for outcome in outcomes] == ["answer to 0", "answer to 1", "answer to 3"]
    assert sorted(effects_of(on_sqlite)) == ["0", "1", "3"]
    assert transactions > 1  # SQLite has rolled all of the first one back


def test_on_sqlite_a_commit_that_fails_is_nobodys_answer(on_sqlite: Database) -> None:
    prepare(on_sqlite, further)

    def add_orphan(connection: Connection) -> str:
        connection.execute(insert(child), {"parent": "nobody"})
        return "what nobody may hear"

    outcomes, transactions = together(on_sqlite, add("0"), add_orphan, add("2"))

    assert isinstance(outcomes.pop(1).exception(), IntegrityError)
    assert [outcome.result() for outcome in outcomes] == ["answer to 0", "answer to 2"]
    assert sorted(effects_of(on_sqlite)) == ["0", "2"]
    assert transactions == 4


def test_on_sqlite_nobody_waits_forever_for_a_turn(on_sqlite: Database) -> None:
    group = GroupCommit(on_sqlite.write, wait_s=0.01)
    with ThreadPoolExecutor(1) as threads, on_sqlite.write():
        first = threads.submit(group.run, add("0"))
        wait_until("the first one leads", lambda: None if group._led else "not yet", timeout=HANGS_AFTER_S)
        with pytest.raises(TimeoutError, match="no turn to write"):
            group.run(add("1"))

    assert first.result() == "answer to 0"
    assert group.run(add("2")) == "answer to 2"
    assert effects_of(on_sqlite) == ["0", "2"]


def test_each_of_many_callers_has_the_answer_to_its_own_work(database: Database) -> None:
    chance = random.Random(11)
    fails = {f"{number:03}": chance.random() < 0.3 for number in range(400)}

    def call(name: str) -> str:
        try:
            return database.commit(add(name, LookupError(name) if fails[name] else None))
        except LookupError as error:
            return f"error of {error}"

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(call, fails))

    assert answers == [f"{'error of' if failed else 'answer to'} {name}" for name, failed in fails.items()]
    assert sorted(effects_of(database)) == [name for name, failed in fails.items() if not failed]
