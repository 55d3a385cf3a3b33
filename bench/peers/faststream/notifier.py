"""The end of the chain."""

import os
import time
from pathlib import Path

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware

from contracts import Invoice

broker = KafkaBroker(os.environ["KAFKA"], middlewares=[KafkaTelemetryMiddleware()], logger=None)
app = FastStream(broker, logger=None)
DONE = os.open(os.environ["DONE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@broker.subscriber(
    "invoices", group_id=os.environ["GROUP"], auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
)
async def note(invoice: Invoice) -> None:
    who = invoice.customer.email.partition("@")[0]
    os.write(DONE, f"{who} {time.time_ns()}\n".encode())


@app.after_startup
async def ready() -> None:
    Path(os.environ["READY"]).touch()
