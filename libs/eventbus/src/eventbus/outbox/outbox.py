"""The transactional outbox: an event is stored in the transaction that makes it true, and published afterwards."""

import json
from dataclasses import dataclass
from uuid import uuid4

from opentelemetry import propagate
from sqlalchemy import Connection, insert

from eventbus import cloudevents
from eventbus.database import tables
from eventbus.database.database import ADDED
from eventbus.event import Event
from eventbus.outbox.limits import OutboxLimit

MAX_EVENT_BYTES = 512 * 1024
# A statement that is built anew for each event costs three times as much.
_ADD = insert(tables.outbox)


class EventTooLarge(ValueError):
    """The event could never be sent; nothing was stored."""


@dataclass(frozen=True)
class Receipt:
    """What the outbox knows of an event that it took: its CloudEvents id and the W3C ``traceparent`` of that moment.

    *traceparent* is None if no trace was active.
    """

    event_id: str
    traceparent: str | None


class Outbox:
    """Store events of one service (*source*) for its relay, as many as *limit* allows."""

    def __init__(self, source: str, limit: OutboxLimit | None = None) -> None:
        self._source = source
        self._limit = limit or OutboxLimit()

    def add(self, connection: Connection, event: Event) -> Receipt:
        """Store *event* with the current trace context: it is published if, and only if, the transaction commits.

        Raises EventTooLarge for one of more than 512 KB, OutboxFull while there is no room.
        """
        value = event.model_dump_json().encode()
        if len(value) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"{event.type} has {len(value)} bytes: at most {MAX_EVENT_BYTES} can be published")
        self._limit.check(connection)
        event_id = str(uuid4())
        trace_context: dict[str, str] = {}
        propagate.inject(trace_context)
        headers = cloudevents.headers_of(event, event_id=event_id, source=self._source)
        connection.execute(
            _ADD,
            {
                "event_id": event_id,
                "topic": event.topic,
                "key": tables.NO_KEY if event.key is None else event.key.encode(),
                "value": value,
                "headers": json.dumps([(name, text.decode()) for name, text in headers]),
                "trace_context": json.dumps(trace_context),
            },
        )
        connection.info[ADDED] = True
        return Receipt(event_id, trace_context.get("traceparent"))

    def check_room(self, connection: Connection) -> None:
        """Raise OutboxFull while no event can be added. Only reads."""
        self._limit.check(connection)
