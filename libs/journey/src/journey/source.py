"""Where traces are looked up: in Zipkin, or in files of OTLP."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Protocol

import requests

from journey import zipkin
from journey.trace import Identity, Span, Trace

# A search brings so many traces at most.
MANY = 100


class Source(Protocol):
    """Something that has traces. Lists are of 100 at most, the latest first; times are microseconds.

    What cannot be asked raises requests.RequestException.
    """

    name: str

    def trace(self, trace_id: str) -> Trace | None:
        """Return the trace of this id; None where it is not there."""

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        """Return traces that have these tags: on one span, or on several together."""

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        """Return so many traces, of any service or of one."""

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        """Return traces that have a span of a service and began between two times."""

    def oldest(self) -> int | None:
        """Return when the first trace that is still there began; None where there is none."""


class ZipkinSource:
    """A Zipkin, asked anew each time."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self.name = f"Zipkin at {url}"
        self.url = url
        self._session = session or requests.Session()

    def trace(self, trace_id: str) -> Trace | None:
        return zipkin.fetch(self.url, trace_id, self._session)

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        return zipkin.search(self.url, self._session, tags=tags, limit=MANY)

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        return zipkin.search(self.url, self._session, service=service, limit=count)

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        until, seconds = end / 1e6 + 0.001, (end - start) / 1e6 + 0.002
        return zipkin.search(self.url, self._session, service=service, until=until, seconds=seconds, limit=MANY)

    def oldest(self) -> int | None:
        """Look for it by halving the last week: Zipkin tells the latest before a time, and no first."""
        late = time.time() + 60
        early = late - zipkin.WEEK
        first: int | None = None
        while late - early > 0.01:
            middle = early + (late - early) / 2
            found = zipkin.search(self.url, self._session, until=middle, limit=1)
            if found and (start := found[0].spans[0].start):
                first, late = start, min(middle, start / 1e6)
            else:
                early = middle
        return first


class Recorded:
    """Spans in memory, as they were read from files; a span that was reported twice is there once."""

    name = "the files"

    def __init__(self, spans: Iterable[Span]) -> None:
        found: dict[str, dict[Identity, Span]] = defaultdict(dict)
        for span in sorted(spans, key=lambda span: span.start or 0):
            found[span.trace_id].setdefault(span.identity, span)
        self._traces = {id: Trace(id, tuple(of_trace.values())) for id, of_trace in found.items()}

    def trace(self, trace_id: str) -> Trace | None:
        wanted = trace_id.lower()
        return self._traces.get(wanted) or self._traces.get(wanted.rjust(32, "0"))

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        wanted = tags.items()
        return [each for each in self._sorted if wanted <= {tag for span in each.spans for tag in span.tags.items()}][
            :MANY
        ]

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        return [trace for trace in self._sorted if _has(trace, service)][:count]

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        return [t for t in self._sorted if start <= (t.spans[0].start or 0) <= end and _has(t, service)][:MANY]

    def oldest(self) -> int | None:
        return min((trace.spans[0].start or 0 for trace in self._sorted), default=None)

    @cached_property
    def _sorted(self) -> list[Trace]:
        return sorted(self._traces.values(), key=lambda trace: trace.spans[0].start or 0, reverse=True)


def _has(trace: Trace, service: str | None) -> bool:
    return service is None or any(span.service.lower() == service.lower() for span in trace.spans)


def _tags(trace: Trace) -> set[tuple[str, str]]:
    return {tag for span in trace.spans for tag in span.tags.items()}
