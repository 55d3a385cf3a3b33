"""Spans as OTLP has them in JSON: the Collector's audit files are such requests, one a line.

Every spelling is read that senders, stores and their interfaces have of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from journey.illegible import OTHER_FORM, Illegible, LeaveOut, refuse, why
from journey.spelling import SPAN_ID, TRACE_ID, id_of, is_error, kind_of, microseconds, text, texts
from journey.trace import Span, Trace, each_once

# Around a request: Jaeger's API v3, and Tempo's v2.
_WRAPPINGS: Final = ("result", "trace")
# The spans of each resource: OTLP, and Tempo's API v1.
_OF_RESOURCES: Final = ("resourceSpans", "resource_spans", "batches")
# The spans of each scope, and what they were called before OTLP 1.0.
_OF_SCOPES: Final = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
_OTHER_SIGNALS: Final = ("resourceMetrics", "resource_metrics", "resourceLogs", "resource_logs")


def spans_from_otlp(request: Any, left_out: LeaveOut = refuse) -> Iterator[Span]:
    """Read the spans of one ExportTraceServiceRequest, of a list of them, or of an answer of Jaeger or Tempo.

    Attributes of the span and of its resource become tags; links and an error's status become the tags that Zipkin has
    of them. `left_out` is told of each span that is not understood, and of what is no OTLP; without it that is a
    ValueError.
    """
    if isinstance(request, list):
        for each in request:
            yield from spans_from_otlp(each, left_out)
        return
    try:
        resources = list(_resources(request))
    except OTHER_FORM as error:
        left_out(Illegible(f"is no OTLP in JSON: {why(error)}"))
        return
    for of_resource in resources:
        yield from _spans(of_resource, left_out)


def trace_from_otlp(requests: Iterable[Mapping[str, Any]], trace_id: str) -> Trace | None:
    """Pick one trace out of many requests; None if no span belongs to it.

    A span that was reported several times, as after a redelivery, is one: its first report without an error, if any.
    Reports are of one span if they have its id, kind and service.
    """
    found = [span for request in requests for span in spans_from_otlp(request) if span.trace_id == trace_id]
    return Trace(trace_id, each_once(found)) if found else None


def _resources(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    known = not document
    for name in document:
        if name in _OF_RESOURCES:
            yield from document[name] or ()
        elif name in _WRAPPINGS and document[name] is not None:
            yield from _resources(document[name])
        elif name in _OF_SCOPES:
            yield document
        elif name not in _OTHER_SIGNALS:
            continue
        known = True
    if not known:
        raise ValueError("it is Zipkin's, which --zipkin-file reads" if "id" in document else "it has no resourceSpans")


def _spans(of_resource: Mapping[str, Any], left_out: LeaveOut) -> Iterator[Span]:
    try:
        resource = texts(of_resource.get("resource"))
        scopes = [scope for name in _OF_SCOPES for scope in of_resource.get(name) or ()]
        spans = [span for scope in scopes for span in scope.get("spans") or ()]
    except OTHER_FORM as error:
        left_out(Illegible(f"has spans of a resource that are not understood: {why(error)}"))
        return
    for span in spans:
        try:
            read = _span(span, resource)
        except OTHER_FORM as error:
            left_out(_illegible(span, error))
        else:
            yield read


def _span(span: Mapping[str, Any], resource: Mapping[str, str]) -> Span:
    get = span.get
    start = microseconds(get("startTimeUnixNano") or get("start_time_unix_nano"))
    end = microseconds(get("endTimeUnixNano") or get("end_time_unix_nano"))
    trace_id, id = id_of(get("traceId") or get("trace_id"), TRACE_ID), id_of(get("spanId") or get("span_id"), SPAN_ID)
    if not trace_id or not id:
        raise ValueError("it has no trace id" if not trace_id else "it has no id")
    tags = {**resource, **texts(span), **_links(span), **_error(get("status"))}
    return Span(
        trace_id=trace_id,
        id=id,
        parent_id=id_of(get("parentSpanId") or get("parent_span_id"), SPAN_ID) or None,
        name=text(get("name")),
        service=resource.get("service.name", ""),
        kind=kind_of(get("kind")),
        start=start,
        duration=None if start is None or end is None else end - start,
        remote_service=tags.get("service.peer.name"),
        tags=tags,
    )


def _illegible(span: Any, error: Exception) -> Illegible:
    try:
        name, trace_id = span.get("name") or "", id_of(span.get("traceId") or span.get("trace_id"), TRACE_ID)
    except OTHER_FORM:
        name, trace_id = "", ""
    return Illegible(f"has a span {name!r} that is not understood: {why(error)}", trace_id or None)


def _error(status: Mapping[str, Any] | None) -> dict[str, str]:
    if not status or not is_error(status.get("code")):
        return {}
    message = text(status.get("message"))
    return {"error": message or "true", **({"otel.status_description": message} if message else {})}


def _links(span: Mapping[str, Any]) -> dict[str, str]:
    # As the Collector writes them for Zipkin, which has no links.
    found: dict[str, str] = {}
    for number, link in enumerate(span.get("links") or ()):
        trace_id, id = link.get("traceId") or link.get("trace_id"), link.get("spanId") or link.get("span_id")
        found[f"otlp.link.{number}"] = f"{id_of(trace_id, TRACE_ID)}|{id_of(id, SPAN_ID)}||{{}}|0"
    return found
