"""Which handler an event goes to, and how the effects of a turn and the memory of them are made one."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import Connection

from eventbus.cloudevents import Message
from eventbus.database.database import Database
from eventbus.database.savepoint import Savepoint
from eventbus.errors import Poison, Transient, Unavailable, describe
from eventbus.event import Event
from eventbus.outbox.outbox import EventTooLarge, Outbox
from eventbus.process.spans import Flusher
from eventbus.settings import EFFECTS_AT_ONCE
from eventbus.worker.inbox import Inbox

E = TypeVar("E", bound=Event)
D = TypeVar("D")
R = TypeVar("R")

# What would end the thread that works on a turn instead of failing one message.
_ENDS_THE_THREAD = (StopIteration, CancelledError, asyncio.CancelledError, GeneratorExit, SystemExit)


class Outcome(Enum):
    """What became of a message."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Resources:
    """What a service's handlers work with: its database, its inbox, its outbox, and the export of finished spans."""

    database: Database
    inbox: Inbox
    outbox: Outbox
    spans: Flusher = field(default_factory=Flusher)
    effects_at_once: int = EFFECTS_AT_ONCE


class Delivery:
    """A message in a turn, and what becomes of it: an outcome once that is durable, or the error of its handler."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.outcome: Outcome | None = None
        self.error: Exception | None = None
        # The one before it that has to be done with first, if there is one.
        self.behind: Delivery | None = None

    @property
    def is_held_up(self) -> bool:
        """Tell whether one that it is behind has failed and is to be tried again."""
        before = self.behind
        if before is None or before.outcome is not None:
            return False
        return before.is_held_up or (before.error is not None and not isinstance(before.error, Poison))

    @property
    def message(self) -> Message:
        """The message. Raises Poison if it cannot be read."""
        return self._message

    def handling(self) -> AbstractContextManager[object]:
        """Be in the span of the message."""
        return nullcontext()

    @property
    def attempt(self) -> int:
        """The number of this try, from 1."""
        return 1

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Let what fails inside be the delivery's `error`, and go no further."""
        self.outcome = self.error = None
        try:
            yield
        except _ENDS_THE_THREAD as error:
            self.outcome = None
            self.error = Transient(f"the handler raised {type(error).__name__} {describe(error)}")
            self.error.__cause__ = error
        except Exception as error:  # the worker decides what is done about it
            self.outcome, self.error = None, error


@dataclass(frozen=True)
class Subscription(ABC):
    """One line of a service's table: an event type and what is done with it.

    *before* is called in the thread and the context of a handler before each of its tries, with the number of the try
    (from 1). What it raises counts as raised by the handler.
    """

    event_type: type[Event]
    before: Callable[[int], None] = field(default=lambda attempt: None, kw_only=True)

    @staticmethod
    @abstractmethod
    def turn(resources: Resources, deliveries: "Deliveries", go_on: Callable[[], bool]) -> None:
        """Handle deliveries, all of this kind of subscription, in their order as long as *go_on* says so, at least one.

        Each then has its outcome or its error, or neither if it was not its turn or is held up. It stops behind an
        error that may be an outage. If it raises, nothing of the turn is remembered, and the outcomes do not count.
        """

    def slots(self, resources: Resources, at_most: int) -> int:
        """Return how many messages may be handled at a time."""
        return at_most

    def apply(self, resources: Resources, message: Message) -> Outcome:
        """Handle one message, in a turn of its own. Raises what the handler raises."""
        delivery = Delivery(message)
        self.turn(resources, [(self, delivery)], lambda: True)
        if delivery.error is not None:
            raise delivery.error
        assert delivery.outcome is not None
        return delivery.outcome


# Those of one turn are of one kind of subscription.
Deliveries = Sequence[tuple[Any, Delivery]]


def by_type(subscriptions: Iterable[Subscription]) -> dict[str, Subscription]:
    """Return *subscriptions* by the name of their event type.

    Raises ValueError if a type is subscribed twice: its message is handled once, so only one handler would be called.
    """
    found: dict[str, Subscription] = {}
    for each in subscriptions:
        known = found.setdefault(each.event_type.type, each)
        if known is not each:
            topics = " and ".join(sorted({known.event_type.topic, each.event_type.topic}))
            raise ValueError(
                f"{each.event_type.type} is subscribed twice (from {topics}), and a service handles each message once:"
                " do both in one handler, or run the second one as a service with another name;"
                " give what another topic carries a type of its own"
            )
    return found


def within_transaction(
    event_type: type[E], handler: Callable[[E, D], Event | None], dependency: Callable[[Connection], D]
) -> Subscription:
    """Handle an event in one transaction with its inbox row and what the handler publishes: exactly one effect.

    *dependency* is made for each message from the transaction's connection. What the handler publishes must fit into
    the outbox: a message that leads to more is poison. The messages of a turn share the transaction, each in a
    savepoint of its own.
    """
    return _WithinTransaction(event_type, handler, dependency)


@dataclass(frozen=True)
class _WithinTransaction(Subscription):
    handler: Callable[[Any, Any], Event | None]
    dependency: Callable[[Connection], Any]

    def slots(self, resources: Resources, at_most: int) -> int:
        return 1 if resources.database.has_one_writer else at_most

    @staticmethod
    def turn(resources: Resources, deliveries: Deliveries, go_on: Callable[[], bool]) -> None:
        with resources.database.write() as connection:
            for subscription, delivery in deliveries:
                if delivery.is_held_up:
                    continue
                with (
                    delivery.handling(),
                    _savepoint(connection, delivery) if len(deliveries) > 1 else _transaction(delivery),
                    delivery.trying(),
                ):
                    subscription.before(delivery.attempt)
                    message = delivery.message
                    if resources.inbox.take(connection, message.identity):
                        event = subscription.handler(message.event, subscription.dependency(connection))
                        _publish(resources, connection, event)
                        delivery.outcome = Outcome.HANDLED
                    else:
                        delivery.outcome = Outcome.DUPLICATE
                if may_be_outage(delivery.error, resources.database) or not go_on():
                    return


def _publish(resources: Resources, connection: Connection, event: Event | None) -> None:
    if event is None:
        return
    try:
        resources.outbox.add(connection, event)
    except EventTooLarge as error:  # trying again would not make it smaller
        raise Poison(str(error)) from None


def outside_transaction(
    event_type: type[E], handler: Callable[[E, D], R], dependency: D, *, record: Callable[[Connection, R], None]
) -> Subscription:
    """Handle an event whose effect no transaction can hold, such as an e-mail: look up, act, remember.

    *record* keeps what the handler returned, in one transaction with the inbox row. The effect happens at least once; a
    crash between acting and remembering repeats it, for EFFECTS_AT_ONCE messages at most. No lock is held meanwhile.
    While the database does not remember, only that is tried again; without room on its disk nothing is begun.
    """
    return _OutsideTransaction(event_type, handler, dependency, record)


@dataclass(frozen=True)
class _OutsideTransaction(Subscription):
    handler: Callable[[Any, Any], Any]
    dependency: object
    record: Callable[[Connection, Any], None]
    # What the handler has returned and the database does not remember yet, by the message's identity.
    not_remembered: dict[str, Any] = field(default_factory=dict, compare=False)

    @staticmethod
    def turn(resources: Resources, deliveries: Deliveries, go_on: Callable[[], bool]) -> None:
        known = _known(resources, deliveries)
        acted: list[tuple[_OutsideTransaction, Delivery]] = []
        for subscription, delivery in deliveries:
            if delivery.is_held_up:
                continue
            with delivery.handling(), delivery.trying():
                subscription.before(delivery.attempt)
                identity = delivery.message.identity
                if identity in known:
                    delivery.outcome = Outcome.DUPLICATE
                else:
                    if identity not in subscription.not_remembered:
                        done = subscription.handler(delivery.message.event, subscription.dependency)
                        subscription.not_remembered[identity] = done
                    known.add(identity)
                    acted.append((subscription, delivery))
            if may_be_outage(delivery.error, resources.database) or len(acted) >= resources.effects_at_once:
                break
            if not go_on():
                break
        if acted:
            _remember(resources, acted)


def _known(resources: Resources, deliveries: Deliveries) -> set[str]:
    subscriptions = {}
    for subscription, delivery in deliveries:
        with suppress(Poison):  # which comes again when it is its turn
            subscriptions[delivery.message.identity] = subscription
    with resources.database.read() as connection:
        known = resources.inbox.known(connection, list(subscriptions))
        resources.outbox.check_room(connection)
    for identity in known:
        subscriptions[identity].not_remembered.pop(identity, None)
    return known


def _remember(resources: Resources, acted: Deliveries) -> None:
    # Once it is remembered the handler is not called again: the spans of its effect must be safe before.
    resources.spans.flush()
    with resources.database.write() as connection:
        for subscription, delivery in acted:
            with _savepoint(connection, delivery), delivery.trying():
                identity = delivery.message.identity
                resources.inbox.take(connection, identity)
                subscription.record(connection, subscription.not_remembered[identity])
                delivery.outcome = Outcome.HANDLED
            if may_be_outage(delivery.error, resources.database):
                break
    for subscription, delivery in acted:
        if delivery.outcome is Outcome.HANDLED:
            subscription.not_remembered.pop(delivery.message.identity, None)


@contextmanager
def _savepoint(connection: Connection, delivery: Delivery) -> Iterator[None]:
    """Undo what is done inside, and nothing else of the transaction, if the delivery then has an error.

    Raises that error if the transaction is lost as a whole.
    """
    savepoint = Savepoint(connection)
    yield
    if delivery.error is None:
        savepoint.keep()
        return
    try:
        savepoint.undo()
    except connection.dialect.loaded_dbapi.Error:
        raise delivery.error from None


@contextmanager
def _transaction(delivery: Delivery) -> Iterator[None]:
    """Undo all of the transaction if the delivery then has an error: it is the only one. Raises that error."""
    yield
    if delivery.error is not None:
        raise delivery.error


def may_be_outage(error: Exception | None, database: Database) -> bool:
    """Tell whether *error* may mean that something is away which every message needs."""
    return isinstance(error, (Unavailable, *database.errors))
