"""What every rule of the doctor is given: a trace, where others are, and what time it is."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from journey.doctor.topic import Topic
from journey.messaging import Place, linked_from, place_of, reads, topic_of
from journey.source import Source
from journey.trace import Node, Span, Trace

SECOND = 1_000_000
# So many messages of a topic are looked for one by one; what other traces tell of the topic counts for all.
ASKED_AT_MOST: Final = 10


@dataclass(frozen=True)
class Case:
    """One trace to judge at the time `now`. What is younger than `patience` may not have arrived yet (microseconds)."""

    trace: Trace
    source: Source
    now: int
    patience: int = 10 * SECOND
    end_topics: Collection[str] = ()
    """The topics that nobody need read, as somebody says."""
    ends: Collection[str] = ()
    """The ids of spans after which nothing is expected, as a declared chain says."""
    awaited: Collection[str] = ()
    """The ids of spans whose message somebody should read, as a chain says."""
    _topics: dict[str, Topic] = field(default_factory=dict)
    _traces: dict[str, Trace | None] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)

    @cached_property
    def nodes(self) -> list[Node]:
        return list(self.trace.tree())

    @cached_property
    def by_id(self) -> Mapping[str, Span]:
        """The first span of each id."""
        return {span.id: span for span in reversed(self.trace.spans)}

    @cached_property
    def linked(self) -> Collection[str]:
        """The ids of the spans of this trace to which a reader in it has a link."""
        links = (link for span in self.trace.spans if reads(span) for link in linked_from(span))
        return {span_id for trace_id, span_id in links if trace_id == self.trace.id}

    def begins(self, span: Span) -> bool:
        """Tell whether a span has no parent at all."""
        return span.parent_id is None and self.trace.parent(span) is None

    def ancestors(self, span: Span) -> Iterator[Span]:
        """Go through the span's parents, the nearest first, each once."""
        met = set()
        while (parent := self.trace.parent(span)) and parent.identity not in met:
            met.add(parent.identity)
            yield parent
            span = parent

    def after_failure(self, span: Span) -> bool:
        """Tell whether a span is part of a step that failed: what it sends is not the journey going on."""
        for each in self.ancestors(span):
            if each.error or reads(each):
                return each.error is not None
        return False

    def within(self, span: Span) -> Iterator[Span]:
        """Go through what is below a span in the same step: not past the next reader or server."""
        met, stack = {span.identity}, [span]
        while stack:
            for child in self.trace.children(stack.pop()):
                if child.identity not in met and not reads(child) and child.kind != "SERVER":
                    met.add(child.identity)
                    stack.append(child)
                    yield child

    @cached_property
    def young(self) -> bool:
        """Whether something happened so lately that more may be on its way."""
        return max((span.end or 0 for span in self.trace.spans), default=0) > self.now - self.patience

    @cached_property
    def oldest(self) -> int | None:
        """When the first trace began that the source still has."""
        return self.source.oldest()

    def topic(self, name: str) -> Topic:
        """Return what other traces tell of a topic."""
        if name not in self._topics:
            self._topics[name] = Topic.looked_up(self.source, name, self.trace.id)
        return self._topics[name]

    def may_ask(self, topic: str) -> bool:
        """Count a question about one message of a topic: a thousand messages are not asked about one by one."""
        self._asked[topic] += 1
        return self._asked[topic] <= ASKED_AT_MOST

    def asked_for_a_link(self, trace_id: str) -> bool:
        """Tell whether another trace was looked up, or count a question for it."""
        return trace_id in self._traces or self.may_ask("")

    def asked_enough(self, topic: str) -> bool:
        return self._asked[topic] > ASKED_AT_MOST

    def traces(self, trace_id: str) -> Trace | None:
        """Return another trace; it is looked up once."""
        if trace_id not in self._traces:
            self._traces[trace_id] = self.source.trace(trace_id)
        return self._traces[trace_id]

    @cached_property
    def bridged(self) -> int:
        """When the work went on for the last time under a span that is missing: the gap is a finding of its own."""
        gaps = (node.children for node in self.nodes if node.span is None)
        went_on = (child for children in gaps for child in children if child.kind != "SERVER" and not reads(child))
        return max((child.start or 0 for child in went_on), default=-1)

    @cached_property
    def at(self) -> Mapping[Place, list[Span]]:
        """The spans of this trace that are about a record, by its place."""
        found: dict[Place, list[Span]] = defaultdict(list)
        for span in self.trace.spans:
            if place := place_of(span):
                found[place].append(span)
        return found

    @cached_property
    def read_here(self) -> Collection[str]:
        """The topics that are read in this trace."""
        return self._topics_of([span for span in self.trace.spans if reads(span)])

    @cached_property
    def _consumed_here(self) -> Collection[str]:
        return self._topics_of([span for span in self.trace.spans if span.kind == "CONSUMER"])

    def _topics_of(self, readers: Sequence[Span]) -> Collection[str]:
        senders = (self.trace.parent(span) for span in readers)
        return {topic_of(span) for span in (*readers, *filter(None, senders))}

    def is_consumed(self, topic: str) -> bool:
        """Tell whether messages of a topic are read by more than a client's poll, here or in other traces."""
        return topic in self._consumed_here or self.topic(topic).consumed
