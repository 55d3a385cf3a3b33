"""SIGTERM takes the last spans along.

See: A trace ends with the message sent, though the card was charged and the offset committed. It happens at each
deployment.

Why: Spans wait up to five seconds in the batch processor and are flushed when Python exits. Python does not exit on
SIGTERM, which is what `docker stop`, Kubernetes and systemd send: unless the program handles it, the process dies
on the spot.

Do: Handle SIGTERM: finish the record in hand, and return from `asyncio.run`. Let whatever runs the process wait for
longer than that takes. Nothing helps against `kill -9`; a shorter `OTEL_BSP_SCHEDULE_DELAY` makes it cost less.

Whole: The same program with a handler. The [workers of this repository](../libs/eventbus/README.md) have one.
"""

import asyncio
import contextlib
import signal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 1")


async def billing() -> None:
    consumer = AIOKafkaConsumer(
        ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with consumer:
        async for _order in consumer:
            await consumer.commit()  # first, so that no card is charged twice
            charge_card()
            # From outside, when a new version is deployed.
            signal.raise_signal(signal.SIGTERM)


async def billing_that_says_goodbye() -> None:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await billing()


BROKEN = Run(
    OURS,
    """
trace 1
post /orders    orders  server
└─ send orders  orders  producer
""",
    exit_code=-signal.SIGTERM,
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
    ("orders", "billing_that_says_goodbye"),
)

if __name__ == "__main__":
    play(orders, billing, billing_that_says_goodbye)
