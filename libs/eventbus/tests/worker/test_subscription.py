from concurrent.futures import ThreadPoolExecutor

import pytest
from eventbus import (
    Database,
    Event,
    Outbox,
    OutboxLimit,
    Poison,
    Subscription,
    Unavailable,
    outside_transaction,
    within_transaction,
)
from eventbus.cloudevents import Message
from eventbus.database.tables import inbox, outbox
from eventbus.outbox.outbox import MAX_EVENT_BYTES
from eventbus.worker.inbox import Inbox
from eventbus.worker.subscription import Outcome, Resources, by_type
from sqlalchemy import Connection, insert
from sqlalchemy.exc import OperationalError

from libs.eventbus.tests.support import OrderPlaced, count, effects, effects_of

MESSAGE = Message("/test", "e-1", OrderPlaced(order_id="o-1"))


class Shelf:
    """A dependency that stores in the transaction which it is given."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def put(self, order_id: str) -> None:
        self.connection.execute(insert(effects).values(order_id=order_id))


def store(order: OrderPlaced, shelf: Shelf) -> Event | None:
    shelf.put(order.order_id)
    return OrderPlaced.on("invoices")(order_id=order.order_id)


def store_silently(order: OrderPlaced, shelf: Shelf) -> Event | None:
    shelf.put(order.order_id)
    return None


def fail(order: OrderPlaced, shelf: Shelf) -> Event | None:
    shelf.put(order.order_id)
    raise LookupError


def resources(database: Database) -> Resources:
    return Resources(database, Inbox("billing"), Outbox("billing"))


def apply(subscription: Subscription, database: Database) -> Outcome:
    return subscription.apply(resources(database), MESSAGE)


def test_within_a_transaction_a_message_has_one_effect_however_often_it_comes(database: Database) -> None:
    outcomes = [apply(within_transaction(OrderPlaced, store, Shelf), database) for _ in range(3)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert effects_of(database) == ["o-1"]
    assert count(database, outbox) == 1


def test_within_a_transaction_a_message_that_comes_to_many_at_once_has_one_effect(database: Database) -> None:
    subscription = within_transaction(OrderPlaced, store, Shelf)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda _: apply(subscription, database), range(24)))

    assert outcomes.count(Outcome.HANDLED) == 1
    assert effects_of(database) == ["o-1"]
    assert count(database, outbox) == 1


def test_what_a_handler_returns_is_published_and_none_is_nothing(database: Database) -> None:
    apply(within_transaction(OrderPlaced, store_silently, Shelf), database)

    assert effects_of(database) == ["o-1"]
    assert count(database, outbox) == 0


def test_a_handler_that_fails_leaves_nothing_and_its_message_can_come_again(database: Database) -> None:
    with pytest.raises(LookupError):
        apply(within_transaction(OrderPlaced, fail, Shelf), database)
    left = effects_of(database), count(database, outbox), count(database, inbox)
    outcome = apply(within_transaction(OrderPlaced, store, Shelf), database)

    assert left == ([], 0, 0)
    assert outcome is Outcome.HANDLED


def test_a_message_that_leads_to_an_event_too_large_to_send_is_poison_and_has_no_effect(database: Database) -> None:
    def swell(order: OrderPlaced, shelf: Shelf) -> Event | None:
        shelf.put(order.order_id)
        return OrderPlaced.on("invoices")(order_id="o" * MAX_EVENT_BYTES)

    with pytest.raises(Poison):
        apply(within_transaction(OrderPlaced, swell, Shelf), database)

    assert effects_of(database) == []
    assert (count(database, inbox), count(database, outbox)) == (0, 0)


@pytest.mark.parametrize("topic", ["orders", "mirrored-orders"])
def test_a_second_subscription_of_an_event_type_is_refused_whatever_its_topic(topic: str) -> None:
    once = within_transaction(OrderPlaced, store, Shelf)
    again = within_transaction(OrderPlaced.on(topic), store_silently, Shelf)

    assert by_type([once]) == {"order.placed.v1": once}
    with pytest.raises(ValueError, match=r"order\.placed\.v1 is subscribed twice \(from .*orders\)"):
        by_type([once, again])


@pytest.mark.parametrize(
    ("sources", "ids"), [(("/shop", "/lms"), ("100", "100")), (("/shop", "/shop"), ("1" * 500, "1" * 501))]
)
def test_within_a_transaction_a_message_is_known_by_its_source_and_its_id(
    sources: tuple[str, str], ids: tuple[str, str], database: Database
) -> None:
    subscription = within_transaction(OrderPlaced, store_silently, Shelf)
    messages = [
        Message(source, event_id, OrderPlaced(order_id=f"o-{number}"))
        for number, (source, event_id) in enumerate(zip(sources, ids, strict=True))
    ]
    outcomes = [subscription.apply(resources(database), message) for message in (*messages, *messages)]

    assert outcomes == [Outcome.HANDLED] * 2 + [Outcome.DUPLICATE] * 2
    assert effects_of(database) == ["o-0", "o-1"]


class Post:
    """A dependency outside of the database; writes to it while it works, as another process may."""

    def __init__(self, database: Database, *, fails: bool = False) -> None:
        self.sent: list[str] = []
        self._database = database
        self._fails = fails

    def send(self, order_id: str) -> str:
        if self._fails:
            raise ConnectionError
        with ThreadPoolExecutor(1) as another:
            another.submit(self._write).result(timeout=60)
        self.sent.append(order_id)
        return f"mail of {order_id}"

    def _write(self) -> None:
        with self._database.write() as connection:
            connection.execute(insert(effects).values(order_id="somebody else's"))


def mail(order: OrderPlaced, post: Post) -> str:
    return post.send(order.order_id)


def note(connection: Connection, sent: str) -> None:
    connection.execute(insert(effects).values(order_id=sent))


def test_outside_of_a_transaction_nothing_is_locked_while_the_handler_works(database: Database) -> None:
    post = Post(database)
    apply(outside_transaction(OrderPlaced, mail, post, record=note), database)

    assert effects_of(database) == ["somebody else's", "mail of o-1"]


def test_outside_of_a_transaction_a_repeated_message_does_not_reach_the_handler(database: Database) -> None:
    post = Post(database)
    outcomes = [apply(outside_transaction(OrderPlaced, mail, post, record=note), database) for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert post.sent == ["o-1"]


def test_outside_of_a_transaction_a_failure_is_not_remembered_as_done(database: Database) -> None:
    with pytest.raises(ConnectionError):
        apply(outside_transaction(OrderPlaced, mail, Post(database, fails=True), record=note), database)
    left = count(database, inbox)
    outcome = apply(outside_transaction(OrderPlaced, mail, Post(database), record=note), database)

    assert left == 0
    assert outcome is Outcome.HANDLED


def test_outside_of_a_transaction_an_effect_is_not_repeated_while_the_database_does_not_remember_it(
    database: Database,
) -> None:
    post, failing = Post(database), iter([True, True, False])

    def note_late(connection: Connection, sent: str) -> None:
        note(connection, sent)
        if next(failing):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    subscription = outside_transaction(OrderPlaced, mail, post, record=note_late)
    for _ in range(2):
        with pytest.raises(OperationalError):
            apply(subscription, database)
    left = count(database, inbox)
    outcomes = [apply(subscription, database) for _ in range(2)]

    assert left == 0
    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert post.sent == ["o-1"]
    assert effects_of(database) == ["somebody else's", "mail of o-1"]


def test_outside_of_a_transaction_the_effect_of_one_source_is_not_taken_for_that_of_another(
    database: Database,
) -> None:
    post, failing = Post(database), iter([True, False, False])

    def note_late(connection: Connection, sent: str) -> None:
        note(connection, sent)
        if next(failing):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    subscription = outside_transaction(OrderPlaced, mail, post, record=note_late)
    of_shop, of_lms = (Message(source, "100", OrderPlaced(order_id=f"o{source}")) for source in ("/shop", "/lms"))
    with pytest.raises(OperationalError):
        subscription.apply(resources(database), of_shop)
    outcomes = [subscription.apply(resources(database), message) for message in (of_lms, of_shop, of_lms, of_shop)]

    assert outcomes == [Outcome.HANDLED] * 2 + [Outcome.DUPLICATE] * 2
    assert post.sent == ["o/shop", "o/lms"]


def test_outside_of_a_transaction_nothing_is_begun_without_room_to_remember_it(on_sqlite: Database) -> None:
    post = Post(on_sqlite)
    full = Resources(on_sqlite, Inbox("notifier"), Outbox("notifier", OutboxLimit(min_free_disk_mb=10**9)))
    with pytest.raises(Unavailable, match="MB of disk are free"):
        outside_transaction(OrderPlaced, mail, post, record=note).apply(full, MESSAGE)

    assert post.sent == []
