"""A thread does not know whose work it does.

See: A part of the work has a trace of its own, and the order's trace does not look as if anything were missing.

Why: The current span is a context variable. A new thread begins with none, and neither `run_in_executor` nor a
`ThreadPoolExecutor` copies them. No instrumentation of Kafka can help: the record is long handed over.

Do: Use `asyncio.to_thread`, which copies the context. For a pool of your own, `submit(copy_context().run,
function)`; or install `opentelemetry-instrumentation-threading`.

Whole: The same instrumentation, the other call.
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
        async for _order in consumer:
            await asyncio.get_running_loop().run_in_executor(None, charge_card)
            break


async def billing_to_thread() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        async for _order in consumer:
            await asyncio.to_thread(charge_card)
            break


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
    ("orders", "billing_to_thread"),
)

if __name__ == "__main__":
    play(orders, billing, billing_to_thread)
