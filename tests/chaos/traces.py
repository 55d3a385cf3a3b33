"""Judges the traces of a run: each order one trace, every hop there, every parent the step before."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from journey import Span

from tests.chaos.audit import Spans, record_of
from tests.chaos.findings import Excuses, Finding, Record
from tests.chaos.ledger import Entry
from tests.chaos.seen import Order
from tests.order_journey import ORDER_JOURNEY

Hop = tuple[str, str, str]
HOPS: Final[frozenset[Hop]] = frozenset((row.service, row.kind, row.name.lower()) for row in ORDER_JOURNEY)
SERVER: Final[Hop] = ("orders", "SERVER", "post /orders")


@dataclass
class Apart:
    """What a fault explains, by trace: counted, and no findings."""

    server_spans: set[str] = field(default_factory=set)
    in_outage: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Traces:
    """All traces of a run, and what is known of whose they are."""

    traces: Mapping[str, Spans]
    ledger: Mapping[int, Entry]
    orders: Collection[Order]
    mailed: Mapping[str, float]
    """When the last step of an order was done, in seconds since the epoch."""
    by_hand: Collection[Record]
    excuses: Excuses
    apart: Apart = field(default_factory=Apart)

    def judge(self) -> Iterator[Finding]:
        """Yield what is wrong with the traces."""
        by_trace: dict[str, list[Order]] = defaultdict(list)
        for order in self.orders:
            entry = self.ledger.get(order.number) if order.number is not None else None
            if order.trace_id is None:
                yield Finding("trace-split", order.order_id, "stored without a trace")
                continue
            by_trace[order.trace_id].append(order)
            if entry and entry.trace_id not in (None, order.trace_id):
                yield Finding("trace-split", order.order_id, f"asked in {entry.trace_id}, stored in {order.trace_id}")
        for trace_id, orders in by_trace.items():
            if len(orders) > 1:
                yield Finding("trace-merged", trace_id, f"orders {sorted(order.order_id for order in orders)}")
            yield from self._of_order(trace_id, orders[0])
        yield from self._strangers(by_trace.keys())

    def _of_order(self, trace_id: str, order: Order) -> Iterator[Finding]:
        entry = self.ledger.get(order.number) if order.number is not None else None
        spans = self.traces.get(trace_id, {})
        found = [
            *missing_hops(trace_id, spans),
            *wrong_parents(trace_id, spans, entry.caller if entry else None),
            *self._foreign_steps(trace_id, spans),
        ]
        if entry and self.excuses.lost_server_span(entry.sent, entry.answered) and SERVER not in hops(spans):
            self.apart.server_spans.add(trace_id)
            # With the span its children lose their parent, and nothing else.
            found = [each for each in found if each.detail not in (f"{SERVER}", _no_parent(SENT))]
        done = self.mailed.get(order.order_id, float("inf"))
        if entry and found and self.excuses.lost_in_outage(entry.sent, done):
            self.apart.in_outage.add(trace_id)
            return
        yield from found

    def _foreign_steps(self, trace_id: str, spans: Spans) -> Iterator[Finding]:
        requests = {span.tags.get("user_agent.original") for span in spans.values() if span.kind == "SERVER"}
        if len(requests) > 1:
            yield Finding("trace-merged", trace_id, f"requests {sorted(map(str, requests))}")
        for span in spans.values():
            home = self._home(span)
            if home not in (None, trace_id):
                yield Finding("trace-merged", trace_id, f"{_named(span)} is a step of {home}")

    def _strangers(self, of_orders: Collection[str]) -> Iterator[Finding]:
        asked = {entry.trace_id for entry in self.ledger.values()}
        for trace_id, spans in self.traces.items():
            if trace_id in of_orders or trace_id in asked or self._is_known(spans):
                continue
            homes = {home for span in spans.values() if (home := self._home(span)) in of_orders}
            names = ", ".join(sorted(_named(span) for span in spans.values()))
            if homes:
                yield Finding("trace-split", str(min(homes)), f"{names} in trace {trace_id}")
            else:
                yield Finding("trace-junk", trace_id, names)

    def _is_known(self, spans: Spans) -> bool:
        """Tell whether a trace is that of one of our requests, or of a record that we wrote by hand."""
        return any(
            record_of(span) in self.by_hand or span.tags.get("user_agent.original", "").startswith("chaos/")
            for span in spans.values()
        )

    def _home(self, span: Span) -> str | None:
        """The trace in which the record was sent that a span processed; None where it is not known."""
        record = record_of(span)
        return self._sent_in.get(record) if span.kind == "CONSUMER" and record else None

    @cached_property
    def _sent_in(self) -> dict[Record, str]:
        return {
            record: trace_id
            for trace_id, spans in self.traces.items()
            for span in spans.values()
            if span.kind == "PRODUCER" and (record := record_of(span))
        }


def hops(spans: Spans) -> set[Hop]:
    """The steps that a trace has; Zipkin has their names in lower case."""
    return {(span.service, span.kind, span.name.lower()) for span in spans.values()}


def missing_hops(trace_id: str, spans: Spans) -> Iterator[Finding]:
    """Yield the declared steps that a trace does not have."""
    for hop in sorted(HOPS - hops(spans)):
        yield Finding("trace-missing-hop", trace_id, f"{hop}")


def wrong_parents(trace_id: str, spans: Spans, caller: str | None) -> Iterator[Finding]:
    """Yield the spans whose parent is not there, or is not the step before.

    A record is processed under its sending; what a service sends it sends while it processes, or while it is asked.
    """
    by_id = {span.id: span for span in spans.values()}
    for span in spans.values():
        if span.kind == "SERVER":
            if span.parent_id != caller:
                yield Finding("trace-wrong-parent", trace_id, f"{_named(span)}: the caller's span is {caller}")
        elif (parent := by_id.get(span.parent_id or "")) is None:
            yield Finding("trace-orphan", trace_id, _no_parent(_named(span)))
        elif not _may_be_parent(parent, span):
            yield Finding("trace-wrong-parent", trace_id, f"{_named(span)} is under {_named(parent)}")


def _may_be_parent(parent: Span, span: Span) -> bool:
    if span.kind == "CONSUMER":
        return parent.kind == "PRODUCER" and parent.name.partition(" ")[2] == span.name.partition(" ")[2]
    return parent.service == span.service and parent.kind in ("CONSUMER", "SERVER")


def _named(span: Span) -> str:
    return f"{span.service} {span.name}"


SENT: Final = "orders send orders"


def _no_parent(name: str) -> str:
    return f"{name}: its parent is not there"
