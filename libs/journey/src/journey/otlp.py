"""Spans as OTLP has them in JSON: the Collector's audit files are such requests, one a line."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from journey.trace import Identity, Span, Trace

# By their numbers in OTLP.
KINDS: Final = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
ERROR: Final = 2


def spans_from_otlp(request: Mapping[str, Any]) -> Iterator[Span]:
    """Read the spans of one ExportTraceServiceRequest. KeyError where a span has no id or no trace id.

    Attributes of the span and of its resource become tags; links and an error's status become the tags that Zipkin has
    of them.
    """
    for of_resource in request.get("resourceSpans", ()):
        resource = _texts(of_resource.get("resource", {}))
        for of_scope in of_resource.get("scopeSpans", ()):
            for span in of_scope.get("spans", ()):
                yield _span(span, resource)


def spans_from_file(file: Path, damaged: Callable[[str], None]) -> Iterator[Span]:
    """Read the spans of a file with a request a line. What cannot be read is told to `damaged`, and left out."""
    with file.open(errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield from list(spans_from_otlp(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                if line.strip():
                    damaged(f"{file}, line {number}, is no OTLP in JSON, and left out")


def trace_from_otlp(requests: Iterable[Mapping[str, Any]], trace_id: str) -> Trace | None:
    """Pick one trace out of many requests; None where no span belongs to it.

    A span that was reported several times, as after a redelivery, is one: its first report. Reports are of one span if
    they have its id, kind and service.
    """
    found = [span for request in requests for span in spans_from_otlp(request) if span.trace_id == trace_id]
    reported: dict[Identity, Span] = {}
    for span in sorted(found, key=lambda span: span.start or 0):
        reported.setdefault(span.identity, span)
    return Trace(trace_id, tuple(reported.values())) if reported else None


def _span(span: Mapping[str, Any], resource: Mapping[str, str]) -> Span:
    start, end = (int(span.get(name, 0)) // 1000 or None for name in ("startTimeUnixNano", "endTimeUnixNano"))
    tags = {**resource, **_texts(span), **_links(span), **_error(span.get("status", {}))}
    kind = span.get("kind", 0)
    return Span(
        trace_id=span["traceId"].lower(),
        id=span["spanId"].lower(),
        parent_id=span.get("parentSpanId", "").lower() or None,
        name=span.get("name", ""),
        service=resource.get("service.name", ""),
        kind=KINDS[kind] if kind in range(len(KINDS)) else KINDS[0],
        start=start,
        duration=None if start is None or end is None else end - start,
        remote_service=tags.get("service.peer.name"),
        tags=tags,
    )


def _error(status: Mapping[str, Any]) -> dict[str, str]:
    if status.get("code") != ERROR:
        return {}
    message = status.get("message", "")
    return {"error": message or "true", **({"otel.status_description": message} if message else {})}


def _links(span: Mapping[str, Any]) -> dict[str, str]:
    # As the Collector writes them for Zipkin, which has no links.
    return {
        f"otlp.link.{number}": f"{link.get('traceId', '').lower()}|{link.get('spanId', '').lower()}||{{}}|0"
        for number, link in enumerate(span.get("links", ()))
    }


def _texts(holder: Mapping[str, Any]) -> dict[str, str]:
    return {each["key"]: _text(each.get("value", {})) for each in holder.get("attributes", ())}


def _text(value: Mapping[str, Any]) -> str:
    content = next(iter(value.values()), "")
    return content if isinstance(content, str) else json.dumps(content)
