"""What the scripts share: where Kafka is, and the two things that are not about Kafka."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

KAFKA = os.environ.get("KAFKA", "127.0.0.1:9092")
# Each run has its own, so that no run reads what another has sent.
ORDERS = os.environ.get("ORDERS", "orders")
INVOICES = os.environ.get("INVOICES", "invoices")
GROUP = os.environ.get("GROUP", "billing")
FOLDER = os.environ.get("FOLDER", ".")

tracer = trace.get_tracer("shop")


@contextmanager
def post_orders(traceparent: str | None = None) -> Iterator[None]:
    """Stand for a web server with its usual span: a customer has posted an order."""
    caller = propagate.extract({"traceparent": traceparent} if traceparent else {})
    with tracer.start_as_current_span("POST /orders", caller, SpanKind.SERVER):
        yield


def charge_card() -> None:
    """Stand for a call over the network with its usual span."""
    with tracer.start_as_current_span("charge card", kind=SpanKind.CLIENT):
        pass


def play(*processes: Callable[[], Any]) -> None:
    """Run the one that the command line names: each is a process of its own."""
    chosen = next(process for process in processes if process.__name__ == sys.argv[1])
    if iscoroutinefunction(chosen):
        asyncio.run(chosen())
    else:
        chosen()
