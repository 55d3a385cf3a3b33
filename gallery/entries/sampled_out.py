"""A caller decides that the journey is not recorded.

See: There is no trace at all, for some orders. The order was taken and the card charged.

Why: The last two digits of a `traceparent` say whether the caller records its trace. The default sampler,
`parentbased_always_on`, follows it, and passes it on through Kafka: a gateway that samples one request in a
hundred, or anyone with `curl`, removes the whole journey.

Do: Set `OTEL_TRACES_SAMPLER=always_on` where the journey matters more than the caller's wish, and sample in the
Collector.

Whole: The same script with that setting. The caller's span is not in the trace, because the caller did not record
it.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gallery.entry import OURS, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders

NOT_SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


async def orders() -> None:
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        with post_orders(traceparent=NOT_SAMPLED):
            await producer.send_and_wait(ORDERS, b"order 1")


async def billing() -> None:
    consumer = AIOKafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    async with consumer:
        async for _order in consumer:
            charge_card()
            break


BROKEN = Run(OURS, "(nothing)", show="orders")
WHOLE = Run(
    OURS,
    """
trace 1
called by span …, which is not in this trace
└─ post /orders          orders   server
   └─ send orders        orders   producer
      └─ process orders  billing  consumer
         └─ charge card  billing  client
""",
    ("OTEL_TRACES_SAMPLER=always_on orders", "OTEL_TRACES_SAMPLER=always_on billing"),
    show="orders",
)

if __name__ == "__main__":
    play(orders, billing)
