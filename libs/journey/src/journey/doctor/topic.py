"""What other traces tell of a topic: who reads it, and who sends to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from journey.messaging import Place, linked_from, place_of, reads, searches_for, topic_of
from journey.source import MANY, Source
from journey.trace import Span, Trace


@dataclass(frozen=True)
class Topic:
    """The spans of the latest traces that have to do with a topic. It is looked up once for all its messages."""

    readers: Sequence[Span] = ()
    senders: Sequence[Span] = ()
    complete: bool = True
    """Whether the source had no more traces than it gives at once."""

    @classmethod
    def looked_up(cls, source: Source, name: str, but: str) -> Self:
        """Ask a source; the trace with the id *but* is left out. requests.RequestException where it cannot be asked."""
        if not name:
            return cls()
        readers: list[Span] = []
        senders: list[Span] = []
        complete = True
        for tags in searches_for(name):
            found = source.having(tags)
            complete = complete and len(found) < MANY
            for trace in (each for each in found if each.id != but):
                senders += (span for span in trace.spans if span.kind == "PRODUCER" and topic_of(span) == name)
                readers += _readers(trace, name)
            if readers and senders:
                break
        return cls(readers, senders, complete)

    @cached_property
    def at(self) -> dict[Place, list[Span]]:
        """The readers and the senders of each record whose place they tell."""
        found: dict[Place, list[Span]] = {}
        for span in (*self.readers, *self.senders):
            if place := place_of(span):
                found.setdefault(place, []).append(span)
        return found

    @cached_property
    def by_link(self) -> dict[tuple[str, str], Span]:
        """The reader that links to a span, by trace id and span id; one that handles before one that only polls."""
        found = ((link, span) for span in self.readers for link in linked_from(span))
        return dict(sorted(found, key=lambda each: each[1].kind == "CONSUMER"))

    @cached_property
    def consumed(self) -> bool:
        """Whether anything more than a client's poll reads it."""
        return any(span.kind == "CONSUMER" for span in self.readers)

    def furthest(self, partition: str) -> int | None:
        """Return the highest offset of a partition that anybody has read, as far as that is known."""
        places = [place for place in map(place_of, self.readers) if place and place.partition == partition]
        return max((int(place.offset) for place in places if place.offset.isdecimal()), default=None)

    def read_since(self, moment: int) -> list[Span]:
        """Return the readers that began after a moment."""
        return [span for span in self.readers if (span.start or 0) > moment]


def _readers(trace: Trace, topic: str) -> list[Span]:
    # A queue may have another name for its readers than the exchange has that its senders name: they are below them.
    readers = (span for span in trace.spans if reads(span))
    return [span for span in readers if topic in (topic_of(span), _topic_sent_to(trace.parent(span)))]


def _topic_sent_to(sender: Span | None) -> str | None:
    return topic_of(sender) if sender and sender.kind == "PRODUCER" else None
