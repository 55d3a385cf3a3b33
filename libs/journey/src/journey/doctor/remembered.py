"""A source that is asked no question twice."""

from collections.abc import Mapping
from functools import cached_property

from journey.source import Source
from journey.trace import Trace


class Remembered:
    """Another source, whose answers count for all traces that are judged in one go: a topic is looked up once."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.hint = source.hint
        self._source = source
        self._having: dict[frozenset[tuple[str, str]], list[Trace]] = {}

    def trace(self, trace_id: str) -> Trace | None:
        return self._source.trace(trace_id)

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        asked = frozenset(tags.items())
        if asked not in self._having:
            self._having[asked] = self._source.having(tags)
        return self._having[asked]

    def latest(self, count: int, service: str | None = None) -> list[Trace]:
        return self._source.latest(count, service)

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        return self._source.begun(service, start, end)

    def oldest(self) -> int | None:
        return self._oldest

    @cached_property
    def _oldest(self) -> int | None:
        return self._source.oldest()
