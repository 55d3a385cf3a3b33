"""A burst of spans is more than the batch processor holds.

See: Some orders have gaps or end with the message sent, others are whole. Of 300 orders this is one that has lost
all that billing did.

Why: The batch processor holds 2,048 spans by default; here it is 512, so that fewer spans show it. It never makes
the program wait: when spans come faster than they can be exported, the oldest are dropped. It says so in a log line
at most, and not how many.

Do: Set `OTEL_BSP_MAX_QUEUE_SIZE` so that a burst has room, at about 3 KB a span. Make fewer spans: one for each
line of an order is hardly ever looked at. A Collector that is away for a moment does the same.

Whole: The same script with a longer queue; all 300 orders are whole. No instrumentation can do that for you.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders, tracer

if TYPE_CHECKING:
    from journey import Trace

COUNT, LINES = 300, 40


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        for _ in range(COUNT):
            with post_orders():
                await producer.send_and_wait(ORDERS, b"an order")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        for _ in range(COUNT):
            await consumer.getone()
            for _ in range(LINES):
                with tracer.start_as_current_span("price line"):
                    pass
            charge_card()


def lost(traces: "Sequence[Trace]") -> "Sequence[Trace]":
    """Pick one of the orders of which nothing is left that billing did."""
    found = [trace for trace in traces if len(trace.spans) == 2]
    assert len(found) > 2, f"{len(found)} of {len(traces)} orders have lost all that billing did"
    return found[:1]


def none_lost(traces: "Sequence[Trace]") -> "Sequence[Trace]":
    """Pick any order: all are whole."""
    whole = [trace for trace in traces if len(trace.spans) == 4 + LINES]
    assert len(traces) == len(whole) == COUNT, f"{len(whole)} of {len(traces)} traces are whole"
    return whole[:1]


BROKEN = Run(
    OURS,
    """
trace 1
post /orders    orders  server
└─ send orders  orders  producer
""",
    ("orders", "OTEL_BSP_MAX_QUEUE_SIZE=512 billing"),
    choose=lost,
)
WHOLE = Run(
    OURS,
    """
trace 1
post /orders                    orders   server
└─ send orders                  orders   producer
   └─ process orders            billing  consumer
      ├─ price line (40 times)  billing  internal
      └─ charge card            billing  client
""",
    ("orders", "OTEL_BSP_MAX_QUEUE_SIZE=32768 billing"),
    choose=none_lost,
)

if __name__ == "__main__":
    play(orders, billing)
