"""A send that failed looks as if it had worked.

See: A trace ends with a `send` that shows no error, and nobody ever receives the message. It was never sent.

Why: The stock instrumentation ends its span before it calls `send`. How long the broker took, and whether it took
the message at all, is not in it.

Do: Have a span of your own around the `send`, and let the error leave it or record it there.

Whole: The same script. The span lasts until the broker's acknowledgement, or has its error.
"""

import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from gallery.entry import OURS, STOCK, Run
from gallery.shop import KAFKA, ORDERS, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            try:
                await producer.send_and_wait(ORDERS, b"an order with a picture" * 100_000)
            except MessageSizeTooLargeError:
                logging.exception("what a pity")


BROKEN = Run(
    STOCK,
    """
trace 1
post /orders    orders  server
└─ orders send  orders  producer
""",
    ("orders",),
)
WHOLE = Run(
    OURS,
    """
trace 1
post /orders    orders  server
└─ send orders  orders  producer
   ✗ aiokafka.errors.MessageSizeTooLargeError: MessageSizeTooLargeError: [Error 10] MessageSizeTooL…
""",
    ("orders",),
)

if __name__ == "__main__":
    play(orders)
