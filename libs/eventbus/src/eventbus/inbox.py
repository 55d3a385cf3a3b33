"""The inbox: which messages a consumer has already handled, so that a repeat has no second effect."""

from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from eventbus.tables import inbox


class Inbox:
    """Remember handled messages of one consumer group (*consumer*)."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    def knows(self, connection: Connection, event_id: str) -> bool:
        """Tell whether the message has been handled."""
        mine = (inbox.c.consumer == self._consumer) & (inbox.c.event_id == event_id)
        return connection.execute(select(inbox.c.event_id).where(mine)).first() is not None

    def add(self, connection: Connection, event_id: str) -> None:
        """Remember the message as handled, in the caller's transaction."""
        connection.execute(
            insert(inbox).values(consumer=self._consumer, event_id=event_id, handled_at=datetime.now(UTC))
        )
