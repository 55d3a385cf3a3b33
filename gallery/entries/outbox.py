"""An outbox is published in the context of its relay.

See: Two orders share a trace, that of the relay which published them. Their own traces end with the request.

Why: An outbox decouples the request from the message, in time and in process. The relay that publishes it later has a
context of its own, or none, and `send` takes what is current.

Do: Store the `traceparent` with the row, in the same transaction, and make it current again for that row's `send`.

Whole: The same instrumentation; the relay uses the column. The [outbox of this
repository](../libs/eventbus/README.md) does it by itself.
"""

import sqlite3
from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry import propagate

from gallery.entry import OURS, Run
from gallery.shop import FOLDER, GROUP, KAFKA, ORDERS, charge_card, play, post_orders, tracer


def orders() -> None:
    database = sqlite3.connect(f"{FOLDER}/orders.db", isolation_level=None)
    database.execute("CREATE TABLE outbox (message BLOB, traceparent TEXT)")
    for _ in range(2):
        with post_orders():
            headers: dict[str, str] = {}
            propagate.inject(headers)
            database.execute("INSERT INTO outbox VALUES (?, ?)", (b"an order", headers["traceparent"]))


def outbox() -> Iterator[tuple[bytes, str]]:
    return iter(sqlite3.connect(f"{FOLDER}/orders.db").execute("SELECT message, traceparent FROM outbox"))


async def relay() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with tracer.start_as_current_span("publish outbox"):
            for message, _ in outbox():
                await producer.send_and_wait(ORDERS, message)


async def relay_with_context() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        for message, traceparent in outbox():
            order = propagate.extract({"traceparent": traceparent})
            with tracer.start_as_current_span("publish outbox", order):
                await producer.send_and_wait(ORDERS, message)


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        for _ in range(2):
            await consumer.getone()
            charge_card()


BROKEN = Run(
    OURS,
    """
trace 1
post /orders  orders  server

trace 2
post /orders  orders  server

trace 3
publish outbox        relay    internal
├─ send orders        relay    producer
│  └─ process orders  billing  consumer
│     └─ charge card  billing  client
└─ send orders        relay    producer
   └─ process orders  billing  consumer
      └─ charge card  billing  client
""",
    ("orders", "relay", "billing"),
    show="relay",
)
WHOLE = Run(
    OURS,
    """
trace 1
post /orders             orders   server
└─ publish outbox        relay    internal
   └─ send orders        relay    producer
      └─ process orders  billing  consumer
         └─ charge card  billing  client

trace 2
post /orders             orders   server
└─ publish outbox        relay    internal
   └─ send orders        relay    producer
      └─ process orders  billing  consumer
         └─ charge card  billing  client
""",
    ("orders", "relay_with_context", "billing"),
    show="relay_with_context",
)

if __name__ == "__main__":
    play(orders, relay, relay_with_context, billing)
