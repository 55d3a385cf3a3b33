"""The inbox: which messages a consumer has already handled, so that a repeat has no second effect."""

from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select, text

from eventbus.tables import inbox


class Inbox:
    """Remember handled messages, by their `Message.identity`, of one consumer group (*consumer*)."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    def knows(self, connection: Connection, message: str) -> bool:
        """Tell whether the message has been handled. Somebody else may be about to handle it: see `take`."""
        mine = (inbox.c.consumer == self._consumer) & (inbox.c.event_id == message)
        return connection.execute(select(inbox.c.event_id).where(mine)).first() is not None

    def take(self, connection: Connection, message: str) -> bool:
        """Remember the message as handled, in the caller's transaction; False where it has been.

        While another transaction that took it is open, waits for its end. So the first statement of a transaction, it
        makes what follows happen once, even if two workers hold one record (after a rebalance, one that was cut off).
        """
        row = {"consumer": self._consumer, "event_id": message, "handled_at": datetime.now(UTC)}
        return connection.execute(_TAKE, row).rowcount == 1


# As text, since SQLAlchemy has this statement for each database only, not for both.
_TAKE = text(
    "INSERT INTO inbox (consumer, event_id, handled_at) VALUES (:consumer, :event_id, :handled_at)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("handled_at", type_=inbox.c.handled_at.type))
