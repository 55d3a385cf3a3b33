"""Traces of orders, whole and with something missing."""

from dataclasses import replace
from typing import Any

from journey import Span, Trace

SECOND = 1_000_000
# When the first order began. Each later order begins a minute after the one before.
BEGAN = 1_800_000_000 * SECOND


def order(number: int = 0) -> Trace:
    """One order's trace: as the services make it, with record `number` of partition 0."""
    trace_id, start = f"{number + 10:032x}", BEGAN + number * 60 * SECOND
    spans: list[Span] = []

    def add(service: str, kind: str, name: str, topic: str = "", **more: Any) -> None:
        place = {
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": "0",
            "messaging.kafka.offset": str(number),
            "messaging.kafka.message.key": f"order-{number}",
        }
        parent = spans[-1].id if spans else None
        id = f"{number + 10:08x}{len(spans) + 1:08x}"
        at = start + len(spans) * 10_000
        spans.append(Span(trace_id, id, parent, name, service, kind, at, 5_000, tags=place if topic else {}, **more))

    add("orders", "SERVER", "post /orders")
    add("orders", "PRODUCER", "send orders", "orders")
    add("billing", "CONSUMER", "process orders", "orders")
    add("billing", "PRODUCER", "send invoices", "invoices")
    add("notifier", "CONSUMER", "process invoices", "invoices")
    add("notifier", "CLIENT", "send email")
    return Trace(trace_id, tuple(spans))


def without(trace: Trace, *rows: int) -> Trace:
    """The trace without these spans, counted from 1."""
    return Trace(trace.id, tuple(span for row, span in enumerate(trace.spans, 1) if row not in rows))


def changed(trace: Trace, row: int, **change: Any) -> Trace:
    """The trace with a span changed, counted from 1."""
    return Trace(
        trace.id, tuple(replace(span, **change) if n == row else span for n, span in enumerate(trace.spans, 1))
    )


def more(trace: Trace, below: int, service: str, kind: str, name: str, *, after: int = 0, **tags: str) -> Trace:
    """The trace with one more span below a row, `after` microseconds after its start."""
    parent = trace.spans[below - 1]
    topic = {"messaging.destination.name": name.partition(" ")[2]} if kind in ("PRODUCER", "CONSUMER") else {}
    id = f"{len(trace.spans) + 1:016x}"
    at = (parent.start or 0) + (after or 6_000)
    span = Span(trace.id, id, parent.id, name, service, kind, at, 5_000, tags={**topic, **tags})
    return Trace(trace.id, (*trace.spans, span))


def span(
    id: int, below: int, service: str, kind: str, name: str, *, at: int, took: int = 1, trace: str = "a", **more: Any
) -> Span:
    """A span of anybody's, by small numbers; `at` and `took` are seconds, `tags` as they are."""
    parent = f"{below:016x}" if below else None
    return Span(
        trace * 32, f"{id:016x}", parent, name, service, kind, BEGAN + at * SECOND, took * SECOND - 1_000, **more
    )


def message(topic: str, operation: str, **more: str) -> dict[str, str]:
    """The attributes of a message by today's conventions."""
    return {"messaging.destination.name": topic, "messaging.operation.type": operation, **more}


def at_place(partition: int, offset: int) -> dict[str, str]:
    return {"messaging.destination.partition.id": str(partition), "messaging.kafka.offset": str(offset)}


def links(*to: tuple[str, int]) -> dict[str, str]:
    """Links to spans, each by trace and number, as tags."""
    return {f"otlp.link.{n}": f"{trace * 32}|{id:016x}||{{}}|0" for n, (trace, id) in enumerate(to)}


def failing_with(description: str) -> dict[str, str]:
    return {"error": description, "otel.status_description": description}


def traces(*spans: Span) -> tuple[Trace, ...]:
    """The traces of these spans, in the order in which they begin here."""
    return tuple(
        Trace(id, tuple(each for each in spans if each.trace_id == id))
        for id in dict.fromkeys(s.trace_id for s in spans)
    )


def as_zipkin_has(trace: Trace) -> Trace:
    """The trace as Zipkin gives it back: names in lower case."""
    return Trace(
        trace.id, tuple(replace(span, name=span.name.lower(), service=span.service.lower()) for span in trace.spans)
    )
