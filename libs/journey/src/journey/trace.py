"""A trace as Zipkin has it, and its spans as a tree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from journey.span import Identity, Span
from journey.tree import Family, Node

__all__ = ["Identity", "Node", "Span", "Trace", "each_once"]


@dataclass(frozen=True)
class Trace:
    """All that Zipkin has of one trace, the earliest span first. There is at least one span."""

    id: str
    spans: tuple[Span, ...]
    left_out: tuple[str, ...] = ()
    """What is said of spans of this trace that are not understood."""

    @classmethod
    def from_zipkin(cls, spans: Iterable[Mapping[str, Any]]) -> Self:
        """Read a trace of Zipkin's API v2. ValueError where there is no span. For others see `Span.from_zipkin`.

        With STRICT_TRACE_ID=false Zipkin joins spans by the lower half of their trace ids: the longest is the trace's.
        """
        read = sorted(map(Span.from_zipkin, spans), key=_by_start)
        if not read:
            raise ValueError("a trace has at least one span")
        id = max((span.trace_id for span in read), key=len)
        return cls(id, tuple(replace(span, trace_id=id) if _joined(span, id) else span for span in read))

    def tree(self) -> Iterator[Node]:
        """Go through the tree: each span exactly once, parents before children, siblings by their start.

        No set of spans stops it. If a parent is missing there is a gap. Of two spans with one identity the first has
        the children. A client and a server that share an id, as in B3, are below each other. A circle of parents is
        opened at one of its spans.
        """
        return self._family.tree()

    def parent(self, span: Span) -> Span | None:
        """Return the span that a span is below in the tree; None at a start, and below a gap."""
        return self._family.parent(span)

    def children(self, span: Span) -> Sequence[Span]:
        """Return what is below a span; spans with one identity have the same children."""
        return self._family.children(span.identity)

    @cached_property
    def _family(self) -> Family:
        return Family(self.spans)


def each_once(reports: Iterable[Span]) -> tuple[Span, ...]:
    """Return one report of each span, the earliest first: the first without an error, else the first.

    Ids are repeatable: a message that a stop left unhandled, and that is handled after the next start, has one id.
    """
    found: dict[Identity, Span] = {}
    for span in sorted(reports, key=_by_start):
        known = found.get(span.identity)
        if known is None or (known.error and not span.error):
            found.pop(span.identity, None)  # a later report has a later place
            found[span.identity] = span
    return tuple(found.values())


def _joined(span: Span, trace_id: str) -> bool:
    return span.trace_id != trace_id and span.trace_id[-16:] == trace_id[-16:]


def _by_start(span: Span) -> tuple[bool, int]:
    return (span.start is None, span.start or 0)
