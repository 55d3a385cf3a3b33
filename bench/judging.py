"""Whether a run counts: each accepted order has reached its end once, and has left exactly its traces."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from journey import Span, Trace, differences, spans_from_otlp
from journey.trace import each_once

from bench.candidates.candidate import Chain
from bench.load import Posted

Traces = Mapping[str, list[Span]]


def read_traces(folder: Path) -> Traces:
    """Return all spans that the Collector has written, by trace."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for file in folder.glob("*.jsonl"):
        with file.open() as lines:
            for line in lines:
                for span in spans_from_otlp(json.loads(line)):
                    traces[span.trace_id].append(replace(span, tags={}))
    return traces


def objections(
    posted: Sequence[Posted], ends: Mapping[str, Sequence[int]], traces: Traces, chains: Sequence[Chain], end: str
) -> list[str]:
    """Return why a run does not count, in sentences; *end* is what an order has at its end."""
    accepted = [order for order in posted if order.accepted]
    return [
        *_refused(posted),
        *_not_once([len(ends.get(order.id, ())) for order in accepted], end),
        *_strangers(ends.keys() - {order.id for order in accepted}, end),
        *_wrong_traces(accepted, traces, chains),
    ]


def _refused(posted: Sequence[Posted]) -> Iterator[str]:
    for status, count in sorted(Counter(order.status for order in posted if not order.accepted).items()):
        yield f"{count} of {len(posted)} orders were answered with {status or 'nothing'}"


def _not_once(counts: Sequence[int], end: str) -> Iterator[str]:
    if lost := counts.count(0):
        yield f"{lost} of {len(counts)} accepted orders have no {end}"
    if more := sum(count > 1 for count in counts):
        yield f"{more} of {len(counts)} accepted orders have more than one {end}"


def _strangers(ids: set[str], end: str) -> Iterator[str]:
    if ids:
        yield f"{len(ids)} that nobody accepted have a {end}, like {min(ids)}"


def _wrong_traces(accepted: Sequence[Posted], traces: Traces, chains: Sequence[Chain]) -> Iterator[str]:
    callers = {order.trace_id: order.caller for order in accepted}
    others = traces.keys() - callers.keys()
    if chains:
        yield from _wrong({trace_id: traces.get(trace_id, []) for trace_id in callers}, chains[0], callers)
    elif found := len(traces):
        yield f"there are {found} traces, and it is not to be traced"
    for following in chains[1:]:
        own = {trace_id: traces[trace_id] for trace_id in others}
        yield from _wrong(own, following, {})
        if len(own) != len(accepted):
            yield f"there are {len(own)} traces that begin at {following[0]}, for {len(accepted)} accepted orders"
    if len(chains) == 1 and others:
        yield f"{len(others)} traces belong to no accepted order, like {min(others)}"


def _wrong(traces: Traces, chain: Chain, callers: Mapping[str, str]) -> Iterator[str]:
    wrong = {
        trace_id: found
        for trace_id, spans in traces.items()
        if (found := differs(trace_id, spans, chain, callers.get(trace_id)))
    }
    if wrong:
        trace_id, found = next(iter(wrong.items()))
        yield f"{len(wrong)} of {len(traces)} traces are not exact, like {trace_id}: {' '.join(found)}"


def differs(trace_id: str, spans: Sequence[Span], chain: Chain, caller: str | None) -> list[str]:
    """Compare one trace with a chain; INTERNAL spans, of which frameworks have several, are looked through."""
    if not spans:
        return ["there is no span."]
    return differences(Trace(trace_id, tuple(_without_internal(each_once(spans)))), chain, caller)


def _without_internal(spans: Sequence[Span]) -> Iterator[Span]:
    above = {span.id: span.parent_id for span in spans if span.kind == "INTERNAL"}
    for span in spans:
        if span.kind != "INTERNAL":
            parent, seen = span.parent_id, set[str]()
            while parent in above and parent not in seen:
                seen.add(parent)
                parent = above[parent]
            yield replace(span, parent_id=parent)
