"""kafka-python: the span is over when the record arrives.

See: One order gives two traces, as with aiokafka. The first ends with the message received.

Why: As with aiokafka, the stock span begins and ends inside the iterator's `__next__`, before the loop's body runs.

Do: Extract the context from the headers and open a span of your own with it as the parent. The stock
instrumentation may stay: its `receive` is then a leaf beside yours, in the same trace.

Whole: aiokafka-otel does nothing for kafka-python. What it would do takes two lines.
"""

from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from gallery.entry import STOCK, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders, tracer

# kafka is imported where it is used: only the environment with the stock instrumentations has it.


def orders() -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=KAFKA)
    with post_orders():
        producer.send(ORDERS, b"order 1")
    producer.close()


def billing() -> None:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    for _order in consumer:
        charge_card()
        break
    consumer.close()


def billing_by_hand() -> None:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(ORDERS, bootstrap_servers=KAFKA, group_id=GROUP, auto_offset_reset="earliest")
    for order in consumer:
        headers = {name: value.decode(errors="replace") for name, value in order.headers if value is not None}
        with tracer.start_as_current_span("process orders", propagate.extract(headers), SpanKind.CONSUMER):
            charge_card()
        break
    consumer.close()


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
    STOCK,
    """
trace 1
post /orders          orders   server
└─ orders send        orders   producer
   ├─ orders receive  billing  consumer
   └─ process orders  billing  consumer
      └─ charge card  billing  client
""",
    ("orders", "billing_by_hand"),
)

if __name__ == "__main__":
    play(orders, billing, billing_by_hand)
