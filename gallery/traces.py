"""What Zipkin has of the runs, when it has all of it."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from uuid import uuid4

import journey
import requests
from stack import Settings

from gallery.scripts import EntryFailed, Execution

SECONDS: Final = 60.0
EVERY: Final = 0.2
MARK: Final = "deployment.environment.name"


def traces_of(executions: Sequence[Execution], settings: Settings) -> dict[str, list[journey.Trace]]:
    """Return the traces of each run by its mark, the earliest first, once Zipkin has every span of them.

    Called when the scripts have ended: what they exported, the Collector has; its audit file then tells how much that
    is. EntryFailed after 60 s.
    """
    deadline = time.monotonic() + SECONDS
    marks = {execution.mark for execution in executions}
    last = _send_last_span(settings)
    while last not in {span.trace_id for span in _audited(settings)}:
        _pause(deadline, "the Collector's audit file does not have all spans")
    wanted: dict[str, set[str]] = defaultdict(set)
    for span in _audited(settings):
        if span.tags.get(MARK) in marks:
            wanted[span.trace_id].add(span.id)
    found: dict[str, journey.Trace] = {}
    while missing := [id for id, spans in wanted.items() if id not in found or spans - _ids(found[id])]:
        found |= journey.fetch_many(settings.zipkin_url, missing)
        _pause(deadline, f"Zipkin does not have {len(missing)} traces, or not all spans of them")
    return _by_mark(executions, found.values())


def _ids(trace: journey.Trace) -> set[str]:
    return {span.id for span in trace.spans}


def _pause(deadline: float, objection: str) -> None:
    if time.monotonic() > deadline:
        raise EntryFailed(f"after {SECONDS:g} s {objection}")
    time.sleep(EVERY)


def _send_last_span(settings: Settings) -> str:
    # The Collector writes its file in the order of arrival: whoever finds this span there has all that came before.
    span = {
        "traceId": uuid4().hex,
        "spanId": uuid4().hex[:16],
        "name": "that is all",
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
    }
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    url = f"http://127.0.0.1:{settings.otlp_http_port}/v1/traces"
    requests.post(url, json=request, timeout=10).raise_for_status()
    return str(span["traceId"])


def _audited(settings: Settings) -> Iterator[journey.Span]:
    for path in settings.audit_folder.glob("traces*.jsonl"):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # the last one may be half written
                yield from journey.spans_from_otlp(json.loads(line))


def _by_mark(executions: Sequence[Execution], traces: Iterable[journey.Trace]) -> dict[str, list[journey.Trace]]:
    found: dict[str, list[journey.Trace]] = defaultdict(list)
    for trace in sorted(traces, key=lambda trace: trace.spans[0].start or 0):
        found[trace.spans[0].tags.get(MARK, "")].append(trace)
    return {execution.mark: found[execution.mark] for execution in executions}
