"""A service without Kafka: what its worker does with an event, done at once. For the tests of a service."""

import uuid
from typing import TypeVar

from eventbus.cloudevents import Message
from eventbus.database.database import Database
from eventbus.database.tables import outbox
from eventbus.event import Event
from eventbus.outbox.outbox import Outbox
from eventbus.worker.inbox import Inbox
from eventbus.worker.subscription import Outcome, Resources, Subscription, by_type

__all__ = ["LocalWorker", "Outcome"]

E = TypeVar("E", bound=Event)


class LocalWorker:
    """The subscriptions of the service *name* with its database, as its worker has them: inbox, handler and outbox in
    one transaction. Raises ValueError if two subscriptions are of one event type."""

    def __init__(self, name: str, database: Database, *subscriptions: Subscription) -> None:
        self.database = database
        self._subscriptions = by_type(subscriptions)
        self._resources = Resources(database, Inbox(name), Outbox(name))

    def deliver(self, event: Event, *, event_id: str | None = None) -> Outcome:
        """Have *event* handled, and return whether it was or is a duplicate.

        It is a message of its own, or the one with that *event_id* once more. Raises what its handler raises, after
        all that was done in the transaction is undone; KeyError if the service subscribes no such event.
        """
        message = Message("/test", event_id or str(uuid.uuid4()), event)
        return self._subscriptions[event.type].apply(self._resources, message)

    def published(self, event_type: type[E]) -> list[E]:
        """Return the events of this type that wait to be published, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(outbox.select().order_by(outbox.c.id)).all()
        return [event_type.model_validate_json(row.value) for row in rows if row.topic == event_type.topic]
