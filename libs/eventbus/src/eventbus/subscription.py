"""Which handler an event goes to, and how its effect and the memory of it are made one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from sqlalchemy import Connection

from eventbus.cloudevents import Message
from eventbus.database import Database
from eventbus.errors import Poison
from eventbus.event import Event
from eventbus.inbox import Inbox
from eventbus.outbox import EventTooLarge, Outbox
from eventbus.spans import Flusher

E = TypeVar("E", bound=Event)
D = TypeVar("D")
R = TypeVar("R")


class Outcome(Enum):
    """What became of a message."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Bench:
    """What a service's handlers work with: its database, its inbox, its outbox, and the export of finished spans."""

    database: Database
    inbox: Inbox
    outbox: Outbox
    spans: Flusher = field(default_factory=Flusher)


@dataclass(frozen=True)
class Subscription:
    """One line of a service's table: an event type and what is done with it."""

    event_type: type[Event]
    apply: Callable[[Bench, Message], Outcome]


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
    the outbox: a message that leads to more is poison.
    """

    def apply(bench: Bench, message: Message) -> Outcome:
        assert isinstance(message.event, event_type)
        with bench.database.write() as connection:
            if not bench.inbox.take(connection, message.identity):
                return Outcome.DUPLICATE
            published = handler(message.event, dependency(connection))
            if published is not None:
                try:
                    bench.outbox.add(connection, published)
                except EventTooLarge as error:  # trying again would not make it smaller
                    raise Poison(str(error)) from None
        return Outcome.HANDLED

    return Subscription(event_type, apply)


def outside_transaction(
    event_type: type[E], handler: Callable[[E, D], R], dependency: D, *, record: Callable[[Connection, R], None]
) -> Subscription:
    """Handle an event whose effect no transaction can hold, such as an e-mail: look up, act, remember.

    *record* keeps what the handler returned, in one transaction with the inbox row. The effect happens at least once; a
    crash between acting and remembering repeats it. No lock is held meanwhile. While the database does not remember,
    only that is tried again; without room on its disk nothing is begun.
    """
    not_remembered: dict[str, R] = {}

    def apply(bench: Bench, message: Message) -> Outcome:
        assert isinstance(message.event, event_type)
        with bench.database.read() as connection:
            if bench.inbox.knows(connection, message.identity):
                not_remembered.pop(message.identity, None)
                return Outcome.DUPLICATE
            bench.outbox.check_room(connection)
        if message.identity not in not_remembered:
            not_remembered[message.identity] = handler(message.event, dependency)
        # Once it is remembered the handler is not called again: the spans of its effect must be safe before.
        bench.spans.flush()
        with bench.database.write() as connection:
            bench.inbox.take(connection, message.identity)
            record(connection, not_remembered[message.identity])
        del not_remembered[message.identity]
        return Outcome.HANDLED

    return Subscription(event_type, apply)
