"""Forwarded headers bring the old context along.

See: A message sent on hangs below the wrong sender. Billing sent the invoice, but the reader of the invoice appears
as if orders had sent it; billing's own `send` stands alone.

Why: A program that passes the headers of a record on, as retries and dead letters do, passes its `traceparent` on too.
The stock instrumentation appends a second one, and a reader takes the first.

Do: Leave `traceparent`, `tracestate` and `baggage` out of what you forward. The same holds for a message that is
sent again from a retry topic.

Whole: The same script. A `send` replaces the context in a new list of headers; yours is not changed.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, STOCK, Run
from gallery.shop import GROUP, INVOICES, KAFKA, ORDERS, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 1", headers=[("tenant", b"bookshop")])


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer, AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        async for order in consumer:
            await producer.send_and_wait(INVOICES, b"invoice 1", headers=list(order.headers))
            break


async def notifier() -> None:
    consumer = AIOKafkaConsumer(INVOICES, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        await consumer.getone()


CHAIN = ("orders", "billing", "notifier")
BROKEN = Run(
    STOCK,
    """
trace 1
post /orders            orders    server
└─ orders send          orders    producer
   ├─ orders receive    billing   consumer
   └─ invoices receive  notifier  consumer

trace 2
invoices send  billing  producer
""",
    CHAIN,
    show="billing",
)
WHOLE = Run(
    OURS,
    """
trace 1
post /orders                  orders    server
└─ send orders                orders    producer
   └─ process orders          billing   consumer
      └─ send invoices        billing   producer
         └─ process invoices  notifier  consumer
""",
    CHAIN,
    show="billing",
)

if __name__ == "__main__":
    play(orders, billing, notifier)
