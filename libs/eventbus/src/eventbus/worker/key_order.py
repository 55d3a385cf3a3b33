"""The order of a key on retry: while a message waits for its next try, those of its key wait behind it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import bindparam, delete, select, text

from eventbus.database.database import Database
from eventbus.database.tables import waiting
from eventbus.errors import Poison, Transient
from eventbus.worker.delivery import RecordDelivery


class KeyWaits(Transient):
    """A message was not tried: an earlier one of its key waits for its next try."""

    def __init__(self) -> None:
        super().__init__("an earlier message of its key waits for its next try")


class KeyOrder:
    """Know which messages of a consumer group wait in its retry topic, each key's in their order, if *enabled*.

    They are noted in the service's database before they are sent there, and until they need no other try. So it does
    not matter who reads which partition, nor in which order the topic has them: a message that comes before its turn
    is sent there again. Messages without a key have no order. Everything here blocks, and raises what the database
    does.
    """

    def __init__(self, database: Database, group: str, *, enabled: bool) -> None:
        self._database = database
        self._group = group
        self.enabled = enabled
        self._is_clean = False

    def sort(self, deliveries: Sequence[RecordDelivery]) -> tuple[Sequence[RecordDelivery], Sequence[RecordDelivery]]:
        """Return those that may be tried, and those for which earlier ones of their key are not done with.

        The second ones have KeyWaits as their error. Of the first ones, each is `behind` the one of its key before.
        """
        if not self.enabled:
            self._forget_all()
            return deliveries, []
        keys = {each: key for each in deliveries if (key := _key(each)) is not None}
        notes = self._notes(set(keys.values()))
        here: dict[str, set[str]] = defaultdict(set)
        last: dict[str, RecordDelivery] = {}
        for each, key in keys.items():
            identity, before = each.message.identity, notes[key]
            each.behind = last.get(key)
            each.is_noted = identity in before
            if each.is_noted:
                before = before[: before.index(identity)]
            if here[key].issuperset(before):
                here[key].add(identity)
                last[key] = each
            else:
                each.error = KeyWaits()
        held = [each for each in keys if each.error is not None]
        return [each for each in deliveries if each.error is None], held

    def _notes(self, keys: set[str]) -> dict[str, list[str]]:
        """Return who waits, by key, in their order."""
        found: dict[str, list[str]] = defaultdict(list)
        if keys:
            with self._database.read() as connection:
                for key, message in connection.execute(_WAITING, {"consumer": self._group, "keys": sorted(keys)}):
                    found[key].append(message)
        return found

    def wait(self, delivery: RecordDelivery) -> None:
        """Note that *delivery* waits for its next try: behind those that do already, unless it has its place."""
        key = _key(delivery)
        if key is None:
            return
        row = {"consumer": self._group, "key": key, "message": delivery.message.identity, "since": datetime.now(UTC)}
        with self._database.write() as connection:
            connection.execute(_NOTE, row)
        delivery.is_noted = True

    def is_over(self, delivery: RecordDelivery) -> None:
        """Strike off *delivery*, which needs no other try: the next one of its key may have its own."""
        these = (waiting.c.consumer == self._group) & (waiting.c.message == delivery.message.identity)
        with self._database.write() as connection:
            connection.execute(delete(waiting).where(these))
        delivery.is_noted = False

    def _forget_all(self) -> None:
        """Forget what was noted while this was enabled: it has not been kept up to date since."""
        if self._is_clean:
            return
        these = waiting.c.consumer == self._group
        with self._database.read() as connection:
            some = connection.execute(select(waiting.c.id).where(these).limit(1)).first()
        if some is not None:
            with self._database.write() as connection:
                connection.execute(delete(waiting).where(these))
        self._is_clean = True


def _key(delivery: RecordDelivery) -> str | None:
    """Return what stands for the key of a message, whatever its length; None if it has none or cannot be read."""
    key: bytes | None = delivery.record.key
    try:
        return sha256(key).hexdigest() if key and delivery.message else None
    except Poison:  # which comes again when it is its turn
        return None


_WAITING = (
    select(waiting.c.key, waiting.c.message)
    .where(waiting.c.consumer == bindparam("consumer"), waiting.c.key.in_(bindparam("keys", expanding=True)))
    .order_by(waiting.c.id)
)
# As text, since SQLAlchemy has this statement for each database only, not for both.
_NOTE = text(
    "INSERT INTO waiting (consumer, key, message, since) VALUES (:consumer, :key, :message, :since)"
    " ON CONFLICT (consumer, message) DO UPDATE SET since = :since"
).bindparams(bindparam("since", type_=waiting.c.since.type))
