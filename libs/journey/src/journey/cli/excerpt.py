"""The part of a large trace that is drawn."""

from collections.abc import Collection, Iterator
from typing import Final

from journey.trace import Node, Trace

DRAWN_WHOLE: Final = 200
DRAWN_FOR_EACH: Final = 3


def around(trace: Trace, marked: Collection[str]) -> Trace:
    """Return what is drawn of a trace: all, or of a large one the first children of each span and what is marked."""
    if len(trace.spans) <= DRAWN_WHOLE:
        return trace
    kept: set[int] = set()
    for node in trace.tree():
        above = node.parent is None or node.parent.span is None or id(node.parent.span) in kept
        first = node.parent is None or node.span in node.parent.children[:DRAWN_FOR_EACH]
        if node.span and (first and above and len(kept) < DRAWN_WHOLE):
            kept.add(id(node.span))
        if node.id in marked:
            kept |= {id(each.span) for each in _upwards(node) if each.span}
            kept |= {id(child) for child in node.children[:DRAWN_FOR_EACH]}
    return Trace(trace.id, tuple(span for span in trace.spans if id(span) in kept))


def _upwards(node: Node | None) -> Iterator[Node]:
    while node:
        yield node
        node = node.parent
