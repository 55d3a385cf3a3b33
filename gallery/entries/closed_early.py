"""The consumer's span ends before the handler begins.

See: One order gives two traces, and the consumer's span has nothing below it. What was done about the message is in
the second trace.

Why: The stock instrumentation wraps `getone`: its span begins and ends inside that call. When the record is handed
over, the span is closed and nothing is current, so the handler's first span has no parent and starts a new trace.

Do: Open a span of your own around the handler, with the context extracted from `record.headers`; or use an
instrumentation that keeps its span open while the record is handled.

Whole: The same script. `process orders` is current in the task that polled, until it polls again or stops.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, STOCK, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 1")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        async for _order in consumer:
            charge_card()
            break


BROKEN = Run(
    STOCK,
    """
trace 1
post /orders          orders   server
└─ orders send        orders   producer
   └─ orders receive  billing  consumer

trace 2
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
""",
)

if __name__ == "__main__":
    play(orders, billing)
