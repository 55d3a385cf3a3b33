"""A batch has no current record.

See: Two orders give five traces. Each order ends with a message received, the poll is a trace of its own, and each
charge is alone in another.

Why: `getmany` hands over many records at once, so no span can be current for one of them. The stock instrumentation
records a span for the poll, for each partition and for each record, and has closed them all when the batch arrives.

Do: Give each record of a batch a span of its own, whose parent is in the record's headers. One span for a whole
batch can only be linked to the senders, and Zipkin shows links as text.

Whole: `process_span` opens the span of one record. The poll is a trace of its own here too, with a link to each
record.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka_otel import process_span

from gallery.entry import OURS, STOCK, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        for _ in range(2):
            with post_orders():
                await producer.send_and_wait(ORDERS, b"an order")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        for batch in (await consumer.getmany(timeout_ms=60_000)).values():
            for _order in batch:
                charge_card()


async def billing_one_by_one() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        for batch in (await consumer.getmany(timeout_ms=60_000)).values():
            for order in batch:
                with process_span(order, consumer):
                    charge_card()


BROKEN = Run(
    STOCK,
    """
trace 1
post /orders          orders   server
└─ orders send        orders   producer
   └─ orders receive  billing  consumer

trace 2
post /orders          orders   server
└─ orders send        orders   producer
   └─ orders receive  billing  consumer

trace 3
orders receive     billing  consumer
└─ orders receive  billing  consumer

trace 4
charge card  billing  client

trace 5
charge card  billing  client
""",
)
WHOLE = Run(
    OURS,
    """
trace 1
post /orders          orders   server
└─ send orders        orders   producer
   └─ process orders  billing  consumer
      └─ charge card  billing  client

trace 2
post /orders          orders   server
└─ send orders        orders   producer
   └─ process orders  billing  consumer
      └─ charge card  billing  client

trace 3
receive orders  billing  client
""",
    ("orders", "billing_one_by_one"),
)

if __name__ == "__main__":
    play(orders, billing, billing_one_by_one)
