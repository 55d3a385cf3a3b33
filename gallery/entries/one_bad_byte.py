"""One bad byte in a header, and the order is lost.

See: A trace ends with the message sent, and nobody ever received it. The order was skipped; the one after it was
not.

Why: A sender put a name in Latin-1 into the header `baggage`. The stock instrumentation decodes it as UTF-8 inside
`getone`, after aiokafka has moved on to the next record: the error takes the record along. A loop that logs the
error and goes on never sees that order again; with `getmany` the whole batch is gone.

Do: Stop on an error that you do not know, instead of going on. Where nobody uses baggage,
`OTEL_PROPAGATORS=tracecontext` leaves that header alone.

Whole: The same script. A header that cannot be read is ignored, and the record is delivered.
"""

import logging

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, STOCK, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 1", headers=[("baggage", "name=José".encode("latin-1"))])
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 2")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        order = None
        while not order or order.value != b"order 2":
            try:
                order = await consumer.getone()
                charge_card()
            except Exception:
                logging.exception("on to the next one")


BROKEN = Run(
    STOCK,
    """
trace 1
post /orders    orders  server
└─ orders send  orders  producer

trace 2
post /orders          orders   server
└─ orders send        orders   producer
   └─ orders receive  billing  consumer

trace 3
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
""",
)

if __name__ == "__main__":
    play(orders, billing)
