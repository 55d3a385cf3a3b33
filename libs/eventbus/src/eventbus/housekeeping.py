"""Nothing grows forever: rows that nobody will ask for again are removed, a few at a time."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Column, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.database.tables import inbox, unfinished, waiting
from eventbus.process.patience import Patience, Stopped
from eventbus.worker import dead_letters

log = logging.getLogger(__name__)

EVERY_S = 3600
# A pass that has left something behind is followed by another one.
SOON_S = 10
# A few milliseconds of the database's one writer, and then it is everybody's again.
BATCH = 200
PAUSE_S = 0.05
BATCHES_OF_A_PASS = 200


@dataclass(frozen=True)
class Retention:
    """Rows of a table are removed when the time in their column *since* is longer ago than *keep*.

    Where *forget* names a column, the row stays and that column becomes NULL. *because* says why they are kept so long
    and no longer. *since* wants an index.
    """

    since: Column[datetime]
    keep: timedelta
    because: str
    forget: Column[str] | None = None


INBOX = Retention(
    inbox.c.handled_at,
    # A copy of a message that was handled is redriven on its last day as a dead letter, waits in its first topic as
    # long as that keeps it, fails, and waits in the retry topic.
    keep=dead_letters.RETENTION + 2 * kafka.RETENTION + 3 * kafka.SEGMENT,
    because="no topic has a copy of these messages any more that could be handled a second time",
)


UNFINISHED = Retention(
    unfinished.c.since,
    keep=kafka.RETENTION + kafka.SEGMENT,
    because="no topic has these records any more",
)

WAITING = Retention(
    waiting.c.since,
    keep=kafka.RETENTION + kafka.SEGMENT,
    because="the retry topic has these messages no more",
)


async def remove_old_rows(database: Database, rules: Sequence[Retention], patience: Patience) -> None:
    """Remove what *rules* let go, now and every hour (with jitter, so that replicas take turns), until stop.

    The writing transactions are short, and few in a pass. A failure is logged and waits for the next pass: the service
    works without it.
    """
    with contextlib.suppress(Stopped):
        while True:
            done = True
            for rule in rules:
                try:
                    done &= await _apply(rule, database, patience)
                except SQLAlchemyError as error:
                    log.warning("rows not removed", extra={"table": rule.since.table.name}, exc_info=error)
            await patience.pause((EVERY_S if done else SOON_S) * random.uniform(0.8, 1.2))


async def _apply(rule: Retention, database: Database, patience: Patience) -> bool:
    """Apply *rule* in small batches, and tell whether nothing is left to it."""
    removed = 0
    try:
        for _ in range(BATCHES_OF_A_PASS):
            batch = await asyncio.to_thread(remove_some, database, rule)
            removed += batch
            if batch < BATCH:
                return True
            await patience.pause(PAUSE_S)
        return False
    finally:
        if removed:
            about = {"table": rule.since.table.name, "rows": removed, "older_than_days": rule.keep.days}
            log.info("removed", extra={**about, "because": rule.because})


def remove_some(database: Database, rule: Retention) -> int:
    """Apply *rule* to the 200 oldest rows (those of one microsecond go together), and return how many it found.

    They are looked for in a reading transaction, and then are one range of the index: the lock is held for the change
    alone.
    """
    old = rule.since < datetime.now(UTC) - rule.keep
    if rule.forget is not None:
        old &= rule.forget.is_not(None)
    with database.read() as connection:
        found = connection.scalars(select(rule.since).where(old).order_by(rule.since).limit(BATCH)).all()
    if found:
        these = old & (rule.since <= found[-1])
        table = rule.since.table
        change = delete(table) if rule.forget is None else update(table).values({rule.forget: None})
        with database.write() as connection:
            connection.execute(change.where(these))
    return len(found)
