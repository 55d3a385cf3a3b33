"""confluent-kafka: each hop is a new trace.

See: One order gives two traces, although the handler runs inside a consumer's span. Each further hop adds one.

Why: The stock instrumentation of confluent-kafka starts a root span for each message that `poll` returns and only
links it to the sender. The semantic conventions allow that. Zipkin has no links: what it gets is a tag
`otlp.link.0` with the sender's ids in it.

Do: Extract the context from the headers and open a span of your own with it as the parent. Switch the consumer's
instrumentation off there, or its trace stays beside yours; what the process sends needs `propagate.inject` then.

Whole: aiokafka-otel does nothing for confluent-kafka. What it would do takes two lines.
"""

from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from gallery.entry import STOCK, Run
from gallery.shop import GROUP, KAFKA, ORDERS, charge_card, play, post_orders, tracer

# confluent_kafka is imported where it is used: only the environment with the stock instrumentations has it.
CONSUMER = {"bootstrap.servers": KAFKA, "group.id": GROUP, "auto.offset.reset": "earliest"}


def orders() -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": KAFKA})
    with post_orders():
        producer.produce(ORDERS, b"order 1")
    producer.flush()


def billing() -> None:
    from confluent_kafka import Consumer

    consumer = Consumer(CONSUMER)
    consumer.subscribe([ORDERS])
    while consumer.poll(1) is None:
        pass
    charge_card()
    consumer.close()


def billing_by_hand() -> None:
    from confluent_kafka import Consumer

    consumer = Consumer(CONSUMER)
    consumer.subscribe([ORDERS])
    while (order := consumer.poll(1)) is None:
        pass
    headers = {name: value.decode(errors="replace") for name, value in order.headers() or () if value is not None}
    with tracer.start_as_current_span("process orders", propagate.extract(headers), SpanKind.CONSUMER):
        charge_card()
    consumer.close()


BROKEN = Run(
    STOCK,
    """
trace 1
post /orders    orders  server
└─ orders send  orders  producer

trace 2
recv               billing  consumer
└─ orders process  billing  consumer
   └─ charge card  billing  client
""",
)
WHOLE = Run(
    STOCK,
    """
trace 1
post /orders          orders   server
└─ orders send        orders   producer
   └─ process orders  billing  consumer
      └─ charge card  billing  client
""",
    ("orders", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=confluent_kafka billing_by_hand"),
)

if __name__ == "__main__":
    play(orders, billing, billing_by_hand)
