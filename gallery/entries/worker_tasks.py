"""A task lives in the context in which it was created.

See: The work of all orders is in the trace of the start-up. The orders' own traces end with `process`.

Why: `create_task` copies the context of that moment, and the task keeps the copy for as long as it runs. Workers
that are created once and fed through an `asyncio.Queue` do every order's work in the context of their creation.

Do: Create a task for each record while the record is in hand: it takes the context along. Where the workers have to
stay, put the context into the queue with the record.

Whole: The same instrumentation, a task for each record. With `getmany` and workers, `process_span(record)` in the
worker does it.
"""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders, tracer

COUNT = 2


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        for _ in range(COUNT):
            with post_orders():
                await producer.send_and_wait(ORDERS, b"an order")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    queue: asyncio.Queue[object] = asyncio.Queue()
    with tracer.start_as_current_span("start up"):
        workers = [asyncio.create_task(work(queue)) for _ in range(3)]
    async with consumer:
        for _ in range(COUNT):
            await queue.put(await consumer.getone())
        await queue.join()
    for worker in workers:
        worker.cancel()


async def work(queue: "asyncio.Queue[object]") -> None:
    while True:
        await queue.get()
        charge_card()
        queue.task_done()


async def billing_with_a_task_for_each() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer, asyncio.TaskGroup() as tasks:
        for _ in range(COUNT):
            await consumer.getone()
            tasks.create_task(asyncio.to_thread(charge_card))


BROKEN = Run(
    OURS,
    """
trace 1
post /orders          orders   server
└─ send orders        orders   producer
   └─ process orders  billing  consumer

trace 2
post /orders          orders   server
└─ send orders        orders   producer
   └─ process orders  billing  consumer

trace 3
start up        billing  internal
├─ charge card  billing  client
└─ charge card  billing  client
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
    ("orders", "billing_with_a_task_for_each"),
)

if __name__ == "__main__":
    play(orders, billing, billing_with_a_task_for_each)
