"""A subscriber whose return value is published, as FastStream's documentation shows it."""

import os
from pathlib import Path

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware

from contracts import Invoice, Order

broker = KafkaBroker(
    os.environ["KAFKA"], acks="all", enable_idempotence=True, middlewares=[KafkaTelemetryMiddleware()], logger=None
)
app = FastStream(broker, logger=None)


@broker.subscriber(
    "orders", group_id=os.environ["GROUP"], auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
)
@broker.publisher("invoices")
async def bill(order: Order) -> Invoice:
    return Invoice(order_id=order.order_id, customer=order.customer, total="9.90")


@app.after_startup
async def ready() -> None:
    Path(os.environ["READY"]).touch()
