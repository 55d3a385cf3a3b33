"""Read a journey back from Zipkin or from spans in OTLP, draw it and compare it with a declared chain.

`journey.doctor` says why one is not whole, `journey.testing` has the assertion for tests.
"""

from journey.chain import Row, differences
from journey.chain_file import read_chain
from journey.draw import draw
from journey.otlp import spans_from_otlp, trace_from_otlp
from journey.queues import Wait, queue_wait
from journey.report import report
from journey.trace import Node, Span, Trace
from journey.waiting import JourneyDiffers, wait_for
from journey.zipkin import Calls, dependencies, fetch, fetch_many

__all__ = [
    "Calls",
    "JourneyDiffers",
    "Node",
    "Row",
    "Span",
    "Trace",
    "Wait",
    "dependencies",
    "differences",
    "draw",
    "fetch",
    "fetch_many",
    "queue_wait",
    "read_chain",
    "report",
    "spans_from_otlp",
    "trace_from_otlp",
    "wait_for",
]
