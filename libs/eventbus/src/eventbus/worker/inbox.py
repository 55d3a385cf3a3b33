"""The inbox: which messages a consumer has already handled, so that a repeat has no second effect."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select, text

from eventbus.database.tables import inbox


class Inbox:
    """Remember handled messages, by their `Message.identity`, of one consumer group (*consumer*)."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    def known(self, connection: Connection, messages: Sequence[str]) -> set[str]:
        """Return those of *messages* that have been handled. Others may be about to be: see `take`."""
        row = {"consumer": self._consumer, "messages": list(messages)}
        return set(connection.scalars(_KNOWN, row)) if messages else set()

    def take(self, connection: Connection, message: str) -> bool:
        """Remember the message as handled, in the caller's transaction; False if it has been.

        While another transaction that took it is open, waits for its end. So the first statement of a transaction, it
        makes what follows happen once, even if two workers hold one record (after a rebalance, one that was cut off).
        """
        row = {"consumer": self._consumer, "event_id": message, "handled_at": datetime.now(UTC)}
        return connection.execute(_TAKE, row).rowcount == 1


_KNOWN = select(inbox.c.event_id).where(
    inbox.c.consumer == bindparam("consumer"), inbox.c.event_id.in_(bindparam("messages", expanding=True))
)
# As text, since SQLAlchemy has this statement for each database only, not for both.
_TAKE = text(
    "INSERT INTO inbox (consumer, event_id, handled_at) VALUES (:consumer, :event_id, :handled_at)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("handled_at", type_=inbox.c.handled_at.type))
