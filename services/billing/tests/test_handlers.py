"""What an order costs, and that it is billed once, whatever happens on the way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from decimal import Decimal
from threading import Barrier

import pytest
from eventbus import Database, Poison, within_transaction
from eventbus.testing import LocalWorker, Outcome
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from billing.events import Customer, InvoiceIssued, Item, OrderPlaced
from billing.handlers import issue_invoice
from billing.store import Ledger

PlaceOrder = Callable[..., OrderPlaced]
THREADS = 4


class Blank:
    """A ledger that keeps nothing: for what an invoice says."""

    def has_invoice_for(self, order_id: str) -> bool:
        return False

    def next_number(self) -> str:
        return "INV-00000007"

    def add(self, invoice: InvoiceIssued) -> None:
        pass


@pytest.fixture
def worker(database: Database) -> LocalWorker:
    return LocalWorker("billing", database, within_transaction(OrderPlaced, issue_invoice, Ledger))


def bill(database: Database, order: OrderPlaced) -> InvoiceIssued | None:
    with database.write() as connection:
        return issue_invoice(order, Ledger(connection))


def stored(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("invoices", "counters", "outbox", "inbox")
        }


def numbers(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT number FROM invoices ORDER BY number")).scalars())


NOTHING = {"invoices": 0, "counters": 0, "outbox": 0, "inbox": 0}
ONE_INVOICE = {"invoices": 1, "counters": 1, "outbox": 1, "inbox": 1}


def test_an_invoice_says_what_was_ordered(database: Database, an_order: PlaceOrder) -> None:
    order = an_order((2, "19.90"), (1, "1.05"))
    invoice = bill(database, order)

    assert invoice
    assert (invoice.order_id, invoice.customer, invoice.currency) == ("order-1", order.customer, "EUR")
    assert [(line.sku, line.quantity, line.unit_price) for line in invoice.lines] == [
        (item.sku, item.quantity, item.unit_price) for item in order.items
    ]
    assert invoice.issued_at.tzinfo is UTC
    assert invoice.key == "order-1"


@pytest.mark.parametrize(
    ("lines", "amounts", "total"),
    [
        ([(2, "19.90")], ["39.80"], "39.80"),
        ([(3, "0.10")], ["0.30"], "0.30"),
        ([(1, "0.10"), (1, "0.20")], ["0.10", "0.20"], "0.30"),
        ([(1, "0.10")] * 1000, ["0.10"] * 1000, "100.00"),
        ([(1, "0.00")], ["0.00"], "0.00"),
        ([(1, "7")], ["7"], "7.00"),
        ([(10_000, "999999.99")] * 100, ["9999999900.00"] * 100, "999999990000.00"),
        ([(1, "99999999999999.99")], ["99999999999999.99"], "99999999999999.99"),
    ],
)
def test_amounts_are_exact(
    an_order: PlaceOrder, database: Database, lines: list[tuple[int, str]], amounts: list[str], total: str
) -> None:
    invoice = bill(database, an_order(*lines))

    assert invoice
    assert [str(line.amount) for line in invoice.lines] == amounts
    assert str(invoice.total) == total
    with database.read() as connection:
        assert connection.execute(text("SELECT total FROM invoices")).scalar_one() == total


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 99_999_999)), min_size=1, max_size=100))
def test_a_total_is_the_sum_in_whole_cents(lines: list[tuple[int, int]]) -> None:
    items = tuple(Item(sku="A", quantity=n, unit_price=Decimal(cents).scaleb(-2)) for n, cents in lines)
    order = OrderPlaced(order_id="o", customer=Customer(email="ada@example.com"), currency="EUR", items=items)
    invoice = issue_invoice(order, Blank())  # type: ignore[arg-type]

    assert invoice
    assert invoice.total.scaleb(2) == sum(n * cents for n, cents in lines)
    assert str(invoice.total)[-3] == "."


@pytest.mark.parametrize(
    "lines", [[(2, "99999999999999.99")], [(1, "99999999999999.99"), (1, "0.01")], [(10**400, "1.00")]]
)
def test_an_order_beyond_what_money_can_be_is_poison_and_burns_no_number(
    worker: LocalWorker, an_order: PlaceOrder, lines: list[tuple[int, str]]
) -> None:
    with pytest.raises(Poison, match="too large to bill") as refused:
        worker.deliver(an_order(*lines))
    worker.deliver(an_order(order_id="order-2"))

    assert "9999" not in str(refused.value)
    assert numbers(worker.database) == ["INV-00000001"]


def test_numbers_count_up(database: Database, an_order: PlaceOrder) -> None:
    invoices = [bill(database, an_order(order_id=f"order-{n}")) for n in range(12)]

    assert [invoice and invoice.invoice_number for invoice in invoices] == [f"INV-{n:08d}" for n in range(1, 13)]


def test_a_number_that_was_rolled_back_is_given_to_the_next_invoice(database: Database, an_order: PlaceOrder) -> None:
    bill(database, an_order(order_id="order-1"))
    with pytest.raises(RuntimeError, match="power cut"), database.write() as connection:
        issue_invoice(an_order(order_id="order-2"), Ledger(connection))
        raise RuntimeError("power cut")
    bill(database, an_order(order_id="order-3"))

    assert numbers(database) == ["INV-00000001", "INV-00000002"]


@pytest.mark.parametrize("databases_opened", [1, THREADS])
def test_invoices_written_at_the_same_moment_leave_no_gap_and_no_repeat(
    database: Database, database_url: str, an_order: PlaceOrder, databases_opened: int
) -> None:
    # Threads with a database object each meet in the database itself, as processes do.
    databases = [Database(database_url) for _ in range(databases_opened)]
    line = Barrier(THREADS)

    def write_some(thread: int) -> None:
        line.wait(timeout=60)
        for n in range(25):
            bill(databases[thread % databases_opened], an_order(order_id=f"order-{thread}-{n}"))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(write_some, range(THREADS)))
    for each in databases:
        each.close()

    assert numbers(database) == [f"INV-{n:08d}" for n in range(1, 1 + 25 * THREADS)]


def test_an_order_is_billed_once_although_it_is_announced_twice(worker: LocalWorker, an_order: PlaceOrder) -> None:
    outcomes = [worker.deliver(an_order()) for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.HANDLED]
    assert stored(worker.database) == {**ONE_INVOICE, "inbox": 2}


def test_a_message_that_comes_twice_has_one_effect(worker: LocalWorker, an_order: PlaceOrder) -> None:
    outcomes = [worker.deliver(an_order(), event_id="m-1") for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert stored(worker.database) == ONE_INVOICE


def test_a_message_that_comes_to_several_workers_at_once_has_one_effect(
    worker: LocalWorker, an_order: PlaceOrder
) -> None:
    order = an_order()
    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = list(threads.map(lambda _: worker.deliver(order, event_id="m-1"), range(THREADS)))

    assert sorted(outcome.value for outcome in outcomes) == ["duplicate"] * (THREADS - 1) + ["handled"]
    assert stored(worker.database) == ONE_INVOICE


def test_the_invoice_is_announced_under_the_key_of_its_order(worker: LocalWorker, an_order: PlaceOrder) -> None:
    worker.deliver(an_order())

    [invoice] = worker.published(InvoiceIssued)
    assert (invoice.topic, invoice.key) == ("invoices", "order-1")
    assert (invoice.invoice_number, invoice.total) == ("INV-00000001", Decimal("39.80"))


def test_a_handler_that_fails_after_its_work_leaves_nothing(database: Database, an_order: PlaceOrder) -> None:
    def bill_and_fail(order: OrderPlaced, ledger: Ledger) -> InvoiceIssued | None:
        issue_invoice(order, ledger)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        LocalWorker("billing", database, within_transaction(OrderPlaced, bill_and_fail, Ledger)).deliver(an_order())

    assert stored(database) == NOTHING


INSERTS_FAIL = {
    "sqlite": (
        "CREATE TRIGGER broken BEFORE INSERT ON {} BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END",
        "DROP TRIGGER broken",
    ),
    "postgresql": (
        "ALTER TABLE {} ADD CONSTRAINT broken CHECK (false) NOT VALID",
        "ALTER TABLE {} DROP CONSTRAINT broken",
    ),
}


@pytest.mark.parametrize("broken", ["invoices", "outbox", "inbox"])
def test_where_a_table_fails_nothing_is_left_and_the_next_try_succeeds(
    worker: LocalWorker, an_order: PlaceOrder, broken: str
) -> None:
    with worker.database.write() as connection:
        break_inserts, mend = INSERTS_FAIL[connection.dialect.name]
        connection.execute(text(break_inserts.format(broken)))
    with pytest.raises(SQLAlchemyError):
        worker.deliver(an_order(), event_id="m-1")
    left = stored(worker.database)
    with worker.database.write() as connection:
        connection.execute(text(mend.format(broken)))
    worker.deliver(an_order(), event_id="m-1")

    assert left == NOTHING
    assert stored(worker.database) == ONE_INVOICE
    assert numbers(worker.database) == ["INV-00000001"]
