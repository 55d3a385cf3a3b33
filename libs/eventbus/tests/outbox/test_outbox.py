import json

import pytest
from eventbus import Database, Outbox, Receipt
from eventbus.database.tables import outbox
from eventbus.outbox.outbox import MAX_EVENT_BYTES
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import delete, select

from libs.eventbus.tests.support import OrderPlaced, count

ORDER = OrderPlaced(order_id="o-1")


def test_a_row_is_there_when_the_transaction_commits(database: Database) -> None:
    with database.write() as connection:
        receipt = Outbox("shop").add(connection, ORDER)
        inside = count(database, outbox)
    with database.read() as connection:
        row = connection.execute(select(outbox)).one()

    assert inside == 0
    assert row.event_id == receipt.event_id
    assert (row.topic, row.key, row.value) == ("orders", b"o-1", b'{"order_id":"o-1","total":"19.90"}')
    assert row.parked_because is None
    assert dict(json.loads(row.headers)).items() >= {"ce_id": receipt.event_id, "ce_source": "/shop"}.items()


def test_no_row_is_there_when_the_transaction_fails(database: Database) -> None:
    with pytest.raises(LookupError), database.write() as connection:
        Outbox("shop").add(connection, ORDER)
        raise LookupError

    assert count(database, outbox) == 0


def test_the_trace_of_that_moment_is_stored(database: Database) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("POST /orders") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
        span_id = f"{span.get_span_context().span_id:016x}"
        with database.write() as connection:
            receipt = Outbox("shop").add(connection, ORDER)
    with database.read() as connection:
        stored = json.loads(connection.execute(select(outbox.c.trace_context)).scalar_one())

    assert stored == {"traceparent": receipt.traceparent}
    assert receipt.traceparent is not None
    assert receipt.traceparent.split("-")[1:3] == [trace_id, span_id]


def test_without_a_span_there_is_no_trace(database: Database) -> None:
    with database.write() as connection:
        receipt = Outbox("shop").add(connection, ORDER)
    with database.read() as connection:
        stored = connection.execute(select(outbox.c.trace_context)).scalar_one()

    assert receipt == Receipt(receipt.event_id, None)
    assert json.loads(stored) == {}


def test_an_event_of_more_than_512_kilobytes_is_refused(database: Database) -> None:
    frame = len(OrderPlaced(order_id="").model_dump_json())
    largest, larger = (OrderPlaced(order_id="x" * (MAX_EVENT_BYTES - frame + more)) for more in (0, 1))
    with database.write() as connection:
        Outbox("shop").add(connection, largest)
        with pytest.raises(ValueError, match="524289 bytes: at most 524288") as caught:
            Outbox("shop").add(connection, larger)

    assert "xxx" not in str(caught.value)
    assert count(database, outbox) == 1


def test_each_event_has_an_id_of_its_own(database: Database) -> None:
    with database.write() as connection:
        receipts = {Outbox("shop").add(connection, ORDER).event_id for _ in range(100)}

    assert len(receipts) == 100


def test_the_id_of_a_deleted_row_is_not_used_again(database: Database) -> None:
    ids: list[int] = []
    for _ in range(3):
        with database.write() as connection:
            Outbox("shop").add(connection, ORDER)
            ids.append(connection.execute(select(outbox.c.id)).scalar_one())
        with database.write() as connection:
            connection.execute(delete(outbox))

    assert ids == [1, 2, 3]
