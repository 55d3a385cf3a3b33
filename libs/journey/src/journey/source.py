"""Where traces are looked up: in Zipkin, or in files of OTLP."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final, Protocol

import requests

from journey import zipkin
from journey.formatting import moment
from journey.illegible import Illegible
from journey.trace import Span, Trace, each_once

# A search brings so many traces at most.
MANY = 100
# The upper half of a trace id of 64 bits.
_NOTHING: Final = "0" * 16


class Source(Protocol):
    """Something that has traces. Lists are of 100 at most, the latest first; times are microseconds.

    What cannot be asked raises requests.RequestException.
    """

    name: str

    @property
    def hint(self) -> str:
        """What helps if something is not there."""

    def trace(self, trace_id: str) -> Trace | None:
        """Return the trace of this id; None if it is not there."""

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        """Return traces that have these tags: on one span, or on several together."""

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        """Return so many traces, of any service or of one."""

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        """Return traces that have a span of a service and began between two times."""

    def oldest(self) -> int | None:
        """Return when the first trace that is still there began; None if there is none."""


class ZipkinSource:
    """A Zipkin, asked anew each time."""

    hint = (
        "What happens comes about a second later; Zipkin forgets the oldest, and all when it stops: --otlp FILE reads "
        "files of the Collector."
    )

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self.name = f"Zipkin at {url}"
        self.url = url
        self.session = session or requests.Session()

    def trace(self, trace_id: str) -> Trace | None:
        return zipkin.fetch(self.url, trace_id, self.session)

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        return zipkin.search(self.url, self.session, tags=tags, limit=MANY)

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        return zipkin.search(self.url, self.session, service=service, limit=count)

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        until, seconds = end / 1e6 + 0.001, (end - start) / 1e6 + 0.002
        return zipkin.search(self.url, self.session, service=service, until=until, seconds=seconds, limit=MANY)

    def oldest(self) -> int | None:
        """Look for it by halving the last week: Zipkin tells the latest before a time, and no first."""
        late = time.time() + 60
        early = late - zipkin.WEEK
        first: int | None = None
        while late - early > 0.01:
            middle = early + (late - early) / 2
            found = zipkin.search(self.url, self.session, until=middle, limit=1)
            if found and (start := found[0].spans[0].start):
                first, late = start, min(middle, start / 1e6)
            else:
                early = middle
        return first


class Recorded:
    """Spans in memory, as they were read from files; a span that was reported twice is there once."""

    name = "the files"

    def __init__(self, spans: Iterable[Span], left_out: Collection[Illegible] = ()) -> None:
        found: dict[str, list[Span]] = defaultdict(list)
        by_start = sorted(spans, key=lambda span: span.start or 0)
        ids = {span.trace_id for span in by_start}
        self._longer = {id[16:]: id for id in ids if len(id) == 32 and not id.startswith(_NOTHING)}
        for span in by_start:
            id = self._key(span.trace_id)
            joined = span.trace_id != id and not id.startswith(_NOTHING)
            found[id].append(replace(span, trace_id=id) if joined else span)
        said: dict[str, list[str]] = defaultdict(list)
        for each in left_out:  # told of while the spans were read
            said[self._key(each.trace_id or "")].append(each.says)
        self._traces = {
            id: Trace(of_trace[0].trace_id, each_once(of_trace), tuple(said[id])) for id, of_trace in found.items()
        }
        self._of_tags: dict[str, Mapping[str, Mapping[str, Trace]]] = {}

    @property
    def hint(self) -> str:
        if not self._traces:
            return "There is no trace in them."
        first, last = self._sorted[-1].spans[0].start, self._sorted[0].spans[0].start
        return f"There {_are(len(self._traces))} in them, from {moment(first or 0)} to {moment(last or 0)}."

    def trace(self, trace_id: str) -> Trace | None:
        return self._traces.get(self._key(trace_id))

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        found = [self._by_value(name).get(value, {}) for name, value in tags.items()]
        fewest = min(found, key=len)
        return [trace for id, trace in fewest.items() if all(id in each for each in found)][:MANY]

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        return [trace for trace in self._sorted if _has(trace, service)][:count]

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        return [t for t in self._sorted if start <= (t.spans[0].start or 0) <= end and _has(t, service)][:MANY]

    def oldest(self) -> int | None:
        return min((trace.spans[0].start or 0 for trace in self._sorted), default=None)

    @cached_property
    def _sorted(self) -> list[Trace]:
        return sorted(self._traces.values(), key=lambda trace: trace.spans[0].start or 0, reverse=True)

    def _key(self, trace_id: str) -> str:
        """Return a trace id of 128 bits. Of a trace whose ids differ in length, as with B3, it is the longer one."""
        id = trace_id.lower().zfill(32)
        return self._longer.get(id[16:], id) if id.startswith(_NOTHING) else id

    def _by_value(self, name: str) -> Mapping[str, Mapping[str, Trace]]:
        """Return the traces that have a tag of a name, by its value and by their ids; the latest first."""
        if name not in self._of_tags:
            by_value: dict[str, dict[str, Trace]] = defaultdict(dict)
            for trace in self._sorted:
                for span in trace.spans:
                    if (value := span.tags.get(name)) is not None:
                        by_value[value][trace.id] = trace
            self._of_tags[name] = by_value
        return self._of_tags[name]


def _has(trace: Trace, service: str | None) -> bool:
    return service is None or any(span.service.lower() == service.lower() for span in trace.spans)


def _are(traces: int) -> str:
    return "is 1 trace" if traces == 1 else f"are {traces} traces"
