"""The spans of a trace as a tree."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from journey.span import Identity, Span

# The halves that may share a span, by the half that was called.
_CALLERS: Final = {"SERVER": "CLIENT", "CONSUMER": "PRODUCER"}


@dataclass(frozen=True, eq=False)
class Node:
    """A place in the tree: a span, or the gap where a span should be.

    In a gap `span` is None and `id` is the parent that `children` name and the trace does not have. `circle` says
    that the span's parents lead back to itself: it stands at the top because something has to.
    """

    id: str
    span: Span | None
    children: tuple[Span, ...] = ()
    parent: "Node | None" = None
    depth: int = 0
    last: bool = True
    circle: bool = False


class Family:
    """Who is below whom. Of spans with one identity the first is the parent of what names it."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans
        self._of_id: dict[str, list[Span]] = defaultdict(list)
        self._first: dict[Identity, Span] = {}
        for span in spans:
            if span.identity not in self._first:
                self._first[span.identity] = span
                self._of_id[span.id].append(span)
        self._children: dict[Identity, list[Span]] = defaultdict(list)
        for span in spans:
            if above := self.above(span):
                self._children[above].append(span)

    def above(self, span: Span) -> Identity | None:
        """Return the place that a span hangs on: its parent, or the gap where it should be; None at a start.

        The half of a shared span that was called hangs on the half that calls. What names a shared span as its parent
        is of the half in its own service.
        """
        if caller := self._other_half(span):
            return caller.identity
        if span.parent_id is None:
            return None
        sharing = self._of_id.get(span.parent_id)
        if not sharing:
            return Identity(span.parent_id, "", "")
        own = [each for each in sharing if each.service == span.service] or sharing
        return min(own, key=lambda each: each.kind in _CALLERS.values()).identity

    def parent(self, span: Span) -> Span | None:
        above = self.above(span)
        return self._first.get(above) if above else None

    def children(self, place: Identity) -> Sequence[Span]:
        return self._children.get(place, ())

    def tree(self) -> Iterator[Node]:
        children = {place: list(spans) for place, spans in self._children.items()}
        for place, top in self._tops():
            yield from _descend(Node(place.id, top), place, children)
        for span in self.spans:
            if (above := self.above(span)) in children:  # no top leads to it
                assert above
                opened, place = self._on_circle(span)
                children[place].remove(opened)
                yield from _descend(Node(opened.id, opened, circle=True), opened.identity, children)

    def _other_half(self, called: Span) -> Span | None:
        if (wanted := _CALLERS.get(called.kind)) is None:
            return None
        for each in self._of_id.get(called.id, ()):
            if each.kind == wanted and called.parent_id in (each.parent_id, called.id, None):
                return each
        return None

    def _tops(self) -> Iterator[tuple[Identity, Span | None]]:
        gaps = set()
        for span in self.spans:
            above = self.above(span)
            if above is None:
                yield span.identity, span
            elif above not in self._first and above not in gaps:
                gaps.add(above)
                yield above, None

    def _on_circle(self, span: Span) -> tuple[Span, Identity]:
        met: set[Identity] = set()
        while span.identity not in met:
            met.add(span.identity)
            place = self.above(span)
            assert place
            span = self._first[place]
        place = self.above(span)
        assert place
        return span, place


def _descend(top: Node, place: Identity, children: dict[Identity, list[Span]]) -> Iterator[Node]:
    # Whoever comes first takes the children of a place, so that nothing is met twice.
    stack = [top]
    while stack:
        node = stack.pop()
        below = children.pop(node.span.identity if node.span else place, [])
        node = replace(node, children=tuple(below))
        yield node
        for child in reversed(below):
            stack.append(Node(child.id, child, parent=node, depth=node.depth + 1, last=child is below[-1]))
