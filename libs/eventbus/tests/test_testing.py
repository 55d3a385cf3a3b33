import pytest
from eventbus import Database, Poison, within_transaction
from eventbus.testing import LocalWorker, Outcome
from sqlalchemy import Connection, insert

from libs.eventbus.tests.support import OrderPlaced, effects, effects_of


class ParcelShipped(OrderPlaced):
    topic = "parcels"
    type = "parcel.shipped.v1"


def ship(order: OrderPlaced, connection: Connection) -> ParcelShipped:
    connection.execute(insert(effects).values(order_id=order.order_id))
    if order.order_id == "poison":
        raise Poison("no such parcel")
    return ParcelShipped(order_id=order.order_id)


@pytest.fixture
def worker(database: Database) -> LocalWorker:
    return LocalWorker("shop", database, within_transaction(OrderPlaced, ship, lambda connection: connection))


def test_an_event_has_its_effect_and_what_its_handler_announces_waits_in_the_outbox(worker: LocalWorker) -> None:
    outcomes = [worker.deliver(OrderPlaced(order_id=name)) for name in ("o-1", "o-2", "o-1")]

    assert outcomes == [Outcome.HANDLED] * 3  # each is a message of its own
    assert effects_of(worker.database) == ["o-1", "o-2", "o-1"]
    assert [each.order_id for each in worker.published(ParcelShipped)] == ["o-1", "o-2", "o-1"]
    assert worker.published(OrderPlaced) == []


def test_the_same_message_once_more_is_a_duplicate(worker: LocalWorker) -> None:
    outcomes = [worker.deliver(OrderPlaced(order_id="o-1"), event_id="m-1") for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert effects_of(worker.database) == ["o-1"]
    assert len(worker.published(ParcelShipped)) == 1


def test_what_a_handler_raises_is_raised_and_nothing_of_it_is_left(worker: LocalWorker) -> None:
    with pytest.raises(Poison, match="no such parcel"):
        worker.deliver(OrderPlaced(order_id="poison"))

    assert effects_of(worker.database) == []
    assert worker.published(ParcelShipped) == []


def test_an_event_that_nothing_subscribes_is_a_fault_of_the_test(worker: LocalWorker) -> None:
    with pytest.raises(KeyError, match=r"parcel\.shipped"):
        worker.deliver(ParcelShipped(order_id="o-1"))
