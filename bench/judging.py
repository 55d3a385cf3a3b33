"""Whether a run counts: each accepted order has reached its end once, and has left exactly its traces."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from journey import Span, Trace, differences, spans_from_otlp
from journey.chain import key
from journey.trace import each_once

from bench.candidates.candidate import Candidate, Chain
from bench.load import Posted

Traces = Mapping[str, Sequence[Span]]
Ends = Mapping[str, Sequence[int]]


def read_traces(folder: Path) -> Traces:
    """Return all spans that the Collector has written, by trace."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for file in folder.glob("*.jsonl"):
        with file.open() as lines:
            for line in lines:
                for span in spans_from_otlp(json.loads(line)):
                    traces[span.trace_id].append(replace(span, tags={}))
    return traces


def objections(posted: Sequence[Posted], ends: Ends, traces: Traces, candidate: Candidate) -> list[str]:
    """Return why a run does not count, in sentences."""
    accepted = [order for order in posted if order.accepted]
    end = "e-mail" if candidate.mails else "end"
    return [
        *_refused(posted),
        *_not_once([len(ends.get(order.id, ())) for order in accepted], end),
        *_strangers(ends.keys() - {order.id for order in accepted}, end),
        *_wrong_traces(accepted, traces, candidate.traces),
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
        yield f"{len(ids)} orders that nobody accepted have an {end}, like {min(ids)}"


def _wrong_traces(accepted: Sequence[Posted], traces: Traces, chains: Sequence[Chain]) -> Iterator[str]:
    if not chains:
        if traces:
            yield f"there are {len(traces)} traces, and nothing is to be traced"
        return
    first, *following = chains
    callers = {order.trace_id: order.caller for order in accepted}
    yield from _wrong({trace_id: traces.get(trace_id, []) for trace_id in callers}, first, callers)
    others = {trace_id: traces[trace_id] for trace_id in _torn_off(traces, chains) - callers.keys()}
    for chain in following:
        yield from _wrong(others, chain, {})
        if len(others) != len(accepted):
            yield f"{len(others)} traces begin at {chain[0]}, and {len(accepted)} orders were accepted"
    if others and not following:
        yield f"{len(others)} traces have spans of orders and belong to none that was accepted, like {min(others)}"


def _torn_off(traces: Traces, chains: Sequence[Chain]) -> set[str]:
    """Return the traces with a span of a chain: what a client tells of its connections is another matter."""
    keys = {key(row) for chain in chains for row in chain}
    return {trace_id for trace_id, spans in traces.items() if any(key(span) in keys for span in spans)}


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
