"""Publishes the outbox: each row in order, in the trace that wrote it."""

import asyncio
import logging
from collections.abc import Collection

from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.outbox.lock import only_one
from eventbus.outbox.pending import Pending
from eventbus.outbox.publication import Publication
from eventbus.outbox.publisher import PARKED
from eventbus.outbox.publishers import BATCH, Publishers
from eventbus.process.patience import Patience, Stopped

log = logging.getLogger(__name__)


class Relay:
    """Publish the outbox of one database at least once, the rows of each key in their order.

    One relay is active for each database; others stand by. A crash between the broker's acknowledgement and the
    deletion of a row publishes it again under the same CloudEvents id. Rows of a topic that takes none wait, those of
    others do not. The relay is ready when it can send to the topics of *publications*.
    """

    def __init__(
        self,
        database: Database,
        *,
        bootstrap_servers: str,
        client_id: str,
        patience: Patience,
        publications: Collection[Publication] = (),
    ) -> None:
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._patience = patience
        self._publications = {each.event_type.topic: each for each in publications}

    async def run(self) -> None:
        """Publish until the process is to stop; then wait for the acknowledgements still due, at most 5 s."""
        trouble = (*self._database.errors, OSError)
        try:
            while not self._patience.stop.is_set():
                await self._patience.until_done("relay", self._publish_alone, retry_on=trouble)
        except Stopped as stopped:
            log.info("the relay stops", extra={"reason": str(stopped)})

    async def _publish_alone(self) -> None:
        """Publish until stop, once no other relay does. An error of the database ends this turn: the lock may be lost
        with it, so it is asked for again."""
        async with only_one(self._database, self._patience) as connection:
            pending = Pending(self._database, connection)
            publishers = Publishers(
                lambda: kafka.producer(self._bootstrap_servers, self._client_id),
                database=self._database,
                pending=pending,
                patience=self._patience,
                publications=self._publications,
            )
            release = asyncio.create_task(self._release_at_stop(pending, publishers))
            try:
                for event_id in await asyncio.to_thread(pending.parked):  # a restart does not make them good
                    self._patience.status.trouble("parked", PARKED.format(event_id))
                await self._patience.until_done(
                    "relay", lambda: publishers.open(self._publications), retry_on=(KafkaError, OSError)
                )
                while not self._patience.stop.is_set():
                    passed_over = await publishers.room()
                    publishers.give(await asyncio.to_thread(pending.next_rows, BATCH, passed_over))
            finally:
                release.cancel()
                await publishers.close()
                pending.close()

    async def _release_at_stop(self, pending: Pending, publishers: Publishers) -> None:
        await self._patience.stop.wait()
        pending.release()
        publishers.look()
