"""`unflushed.py MODULE`: run a worker whose spans are exported in their own time, and not before work is forgotten."""

import runpy
import sys

from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def no_flush(_: object, timeout_millis: int | None = None) -> bool:
    return True


for each in (TracerProvider, SynchronousMultiSpanProcessor, BatchSpanProcessor):
    each.force_flush = no_flush  # type: ignore[method-assign, assignment]

runpy.run_module(sys.argv[1], run_name="__main__")
