"""The record is polled in another task than it is handled in.

See: One order gives two traces, although the instrumentation keeps its span open for the handler.

Why: A task cannot change the context of the one that waits for it. What `getone` makes current in its own task is
gone when that task ends. `asyncio.wait_for` does the same before Python 3.12: it runs `getone` in a task of its
own.

Do: Await `getone` in the task that handles the record. For a time limit use `asyncio.timeout`; to stop, cancel the
task instead of waiting for two things at once.

Whole: The same instrumentation, awaited in the task that does the work. No instrumentation can do better: what it
can do is never to take a wrong parent.
"""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders():
            await producer.send_and_wait(ORDERS, b"order 1")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        stopping = asyncio.create_task(asyncio.Event().wait())
        order = asyncio.create_task(consumer.getone())
        await asyncio.wait({order, stopping}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        if order.done():
            charge_card()
        stopping.cancel()


async def billing_in_one_task() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        async with asyncio.timeout(60):
            await consumer.getone()
        charge_card()


BROKEN = Run(
    OURS,
    """
trace 1
post /orders          orders   server
└─ send orders        orders   producer
   └─ process orders  billing  consumer

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
    ("orders", "billing_in_one_task"),
)

if __name__ == "__main__":
    play(orders, billing, billing_in_one_task)
