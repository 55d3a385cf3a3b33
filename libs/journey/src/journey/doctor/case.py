"""What every rule of the doctor is given: a trace, where others are, and what time it is."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from journey.messaging import TOPICS, topic_of
from journey.source import Source
from journey.trace import Node, Span, Trace

SECOND = 1_000_000


@dataclass(frozen=True)
class Case:
    """One trace to judge at the time `now`. What is younger than `patience` may not have arrived yet (microseconds)."""

    trace: Trace
    source: Source
    now: int
    patience: int = 10 * SECOND
    ends: Collection[str] = ()
    """The ids of spans after which nothing is expected, as a declared chain says."""
    _readers: dict[str, list[Span]] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[Node]:
        return list(self.trace.tree())

    @cached_property
    def children(self) -> Mapping[str, list[Span]]:
        """The children of each span id: those of a message that was sent twice are together."""
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.trace.spans:
            if span.parent_id:
                found[span.parent_id].append(span)
        return found

    def parent(self, span: Span) -> Span | None:
        return next((each for each in self.trace.spans if each.id == span.parent_id), None)

    def ancestors(self, span: Span) -> list[Span]:
        """Return the span's parents, the nearest first."""
        found: list[Span] = []
        while (parent := self.parent(span)) and parent not in found:
            found.append(parent)
            span = parent
        return found

    @cached_property
    def young(self) -> bool:
        """Whether something happened so lately that more may be on its way."""
        return max((span.end or 0 for span in self.trace.spans), default=0) > self.now - self.patience

    def readers(self, topic: str) -> list[Span]:
        """Return what read from a topic lately, in any trace but this one."""
        if topic not in self._readers:
            found: list[Trace] = []
            for name in TOPICS:
                if found := self.source.having({name: topic}):
                    break
            self._readers[topic] = [span for trace in found for span in trace.spans if is_reading(span, topic)]
        return [span for span in self._readers[topic] if span.trace_id != self.trace.id]

    def senders(self, topic: str) -> list[Span]:
        """Return what sent to a topic lately, in any trace."""
        found = [trace for name in TOPICS for trace in self.source.having({name: topic})]
        return [span for trace in found for span in trace.spans if span.kind == "PRODUCER" and topic_of(span) == topic]


def is_reading(span: Span, topic: str) -> bool:
    """Tell whether a span takes from a topic: a poll of several records may be a CLIENT's."""
    return span.kind in ("CONSUMER", "CLIENT") and topic_of(span) == topic
