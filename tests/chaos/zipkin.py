"""A look at some traces by their ids in Zipkin: what people see."""

from collections.abc import Iterator, Mapping

import journey

from tests.chaos.audit import Spans
from tests.chaos.findings import Finding
from tests.chaos.traces import missing_hops, wrong_parents
from tests.e2e.polling import poll_until

SECONDS = 20


def look_at(zipkin_url: str, drawn: Mapping[str, str | None]) -> list[Finding]:
    """Look at traces, given with their callers' spans, until they are whole; return what is still wrong then."""

    def look() -> list[Finding]:
        found = journey.fetch_many(zipkin_url, drawn)
        spans = {each: _spans(found[each]) if each in found else {} for each in drawn}
        return [finding for each, caller in drawn.items() for finding in _wrong(each, spans[each], caller)]

    try:
        poll_until(lambda: not look(), "the sample is whole in Zipkin", timeout=SECONDS, every=0.5)
    except AssertionError:
        return look()
    return []


def _wrong(trace_id: str, spans: Spans, caller: str | None) -> Iterator[Finding]:
    for finding in (*missing_hops(trace_id, spans), *wrong_parents(trace_id, spans, caller)):
        yield Finding(finding.kind, trace_id, f"in Zipkin: {finding.detail}")


def _spans(trace: journey.Trace) -> Spans:
    return {(span.id, span.parent_id): span for span in trace.spans}
