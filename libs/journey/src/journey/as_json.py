"""Traces and diagnoses for machines: one object a line. Times are microseconds; what is not known is null."""

import json
from typing import Any

from journey.doctor import Diagnosis
from journey.queues import queue_wait
from journey.trace import Node, Trace


def of_trace(trace: Trace) -> str:
    """Write a trace with its spans in the order of the tree."""
    times = [time for span in trace.spans for time in (span.start, span.end) if time is not None]
    return json.dumps(
        {
            "trace_id": trace.id,
            "start": min((span.start for span in trace.spans if span.start is not None), default=None),
            "duration": max(times) - min(times) if times else None,
            "errors": sum(span.error is not None for span in trace.spans),
            "spans": [_span(node) for node in trace.tree() if node.span],
            "missing_parents": [node.id for node in trace.tree() if node.span is None],
        }
    )


def of_diagnosis(diagnosis: Diagnosis) -> str:
    """Write what the doctor found in a trace."""
    return json.dumps(
        {
            "trace_id": diagnosis.trace.id,
            "whole": diagnosis.whole,
            "verdict": diagnosis.verdict.value,
            "findings": [
                {
                    "cause": finding.cause.value,
                    "says": finding.says,
                    "check": finding.check,
                    "span_id": finding.at or None,
                    "other_trace_id": finding.other_trace,
                    "due": finding.due,
                }
                for finding in diagnosis.findings
            ],
        }
    )


def _span(node: Node) -> dict[str, Any]:
    span, wait = node.span, queue_wait(node)
    assert span
    return {
        "id": span.id,
        "parent_id": span.parent_id,
        "service": span.service,
        "kind": span.kind,
        "name": span.name,
        "start": span.start,
        "duration": span.duration,
        "wait": {"topic": wait.topic, "duration": wait.microseconds, "measured": wait.measured} if wait else None,
        "error": span.error,
    }
