"""Spans as Zipkin has them in JSON: what its API v2 answers, and what "Download JSON" of its page saves."""

from collections.abc import Iterator
from typing import Any

from journey.illegible import OTHER_FORM, Illegible, LeaveOut, refuse, why
from journey.trace import Span


def spans_from_zipkin(document: Any, left_out: LeaveOut = refuse) -> Iterator[Span]:
    """Read the spans of a trace, or of a list of traces.

    `left_out` is told of each span that is not understood, and of what is no span; without it that is a ValueError.
    """
    if isinstance(document, list):
        for each in document:
            yield from spans_from_zipkin(each, left_out)
        return
    try:
        read = Span.from_zipkin(_padded(document))
    except OTHER_FORM as error:
        left_out(_illegible(document, error))
    else:
        yield read


def _padded(span: Any) -> dict[str, Any]:
    if "binaryAnnotations" in span:
        raise ValueError("it is of Zipkin's API v1")
    if "resourceSpans" in span:
        raise ValueError("it is OTLP, which --otlp reads")
    ids = {name: span[name].zfill(16) for name in ("id", "parentId") if span.get(name)}
    length = 16 if len(span["traceId"]) <= 16 else 32
    return {**span, **ids, "traceId": span["traceId"].zfill(length)}


def _illegible(span: Any, error: Exception) -> Illegible:
    known = span if isinstance(span, dict) else {}
    name, trace_id = known.get("name") or "", known.get("traceId")
    says = f"has a span {name!r} that is not understood: {why(error)}"
    return Illegible(says, trace_id.lower() if isinstance(trace_id, str) else None)
