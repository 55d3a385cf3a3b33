"""A trace as Zipkin has it, and its spans as a tree."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class Span:
    """One span. Times are microseconds, `start` since the epoch; None where Zipkin has none.

    Zipkin lower-cases `name`, `service` and `remote_service`. A name that Zipkin does not have is "".
    """

    trace_id: str
    id: str
    parent_id: str | None
    name: str
    service: str
    kind: str  # SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL
    start: int | None = None
    duration: int | None = None
    remote_service: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_zipkin(cls, span: Mapping[str, Any]) -> Self:
        """Read a span of Zipkin's API v2. KeyError where it has no id or no trace id."""
        return cls(
            trace_id=span["traceId"],
            id=span["id"],
            parent_id=span.get("parentId"),
            name=span.get("name", ""),
            service=span.get("localEndpoint", {}).get("serviceName", ""),
            kind=span.get("kind", "INTERNAL"),
            start=span.get("timestamp"),
            duration=span.get("duration"),
            remote_service=span.get("remoteEndpoint", {}).get("serviceName"),
            tags=span.get("tags", {}),
        )

    @property
    def end(self) -> int | None:
        """The start plus the duration, if any; None where there is no start."""
        return None if self.start is None else self.start + (self.duration or 0)

    @property
    def error(self) -> str | None:
        """The error's type and description, as far as Zipkin has them; None without the tag `error`, as in Zipkin."""
        if "error" not in self.tags:
            return None
        kind, description = self.tags.get("error.type", ""), self.tags.get("otel.status_description", "")
        if description.startswith(f"{kind}: "):  # OpenTelemetry's own descriptions begin with the type
            return description
        return ": ".join(filter(None, (kind, description))) or self.tags["error"]


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


@dataclass(frozen=True)
class Trace:
    """All that Zipkin has of one trace, the earliest span first. There is at least one span."""

    id: str
    spans: tuple[Span, ...]

    @classmethod
    def from_zipkin(cls, spans: Iterable[Mapping[str, Any]]) -> Self:
        """Read a trace of Zipkin's API v2. ValueError where there is no span."""
        read = sorted(map(Span.from_zipkin, spans), key=_by_start)
        if not read:
            raise ValueError("a trace has at least one span")
        return cls(read[0].trace_id, tuple(read))

    def tree(self) -> Iterator[Node]:
        """Go through the tree: each span exactly once, parents before children, siblings by their start.

        No set of spans stops it. Where a parent is missing there is a gap; of two spans with one id the first met
        has the children; a circle of parents is opened at one of its spans.
        """
        first = {span.id: span for span in reversed(self.spans)}
        children: dict[str, list[Span]] = defaultdict(list)
        tops: list[tuple[str, Span | None]] = []
        for span in self.spans:
            if span.parent_id is None:
                tops.append((span.id, span))
            else:
                if span.parent_id not in first and span.parent_id not in children:
                    tops.append((span.parent_id, None))
                children[span.parent_id].append(span)
        for id, top in tops:
            yield from _descend(Node(id, top), children)
        for span in self.spans:
            if span.parent_id in children:  # no top leads to it
                opened = _on_circle(span, first)
                children[opened.parent_id or ""].remove(opened)
                yield from _descend(Node(opened.id, opened, circle=True), children)


def _by_start(span: Span) -> tuple[bool, int]:
    return (span.start is None, span.start or 0)


def _descend(top: Node, children: dict[str, list[Span]]) -> Iterator[Node]:
    # Whoever comes first takes the children of an id, so that nothing is met twice.
    stack = [top]
    while stack:
        node = stack.pop()
        below = children.pop(node.id, [])
        node = replace(node, children=tuple(below))
        yield node
        for child in reversed(below):
            stack.append(Node(child.id, child, parent=node, depth=node.depth + 1, last=child is below[-1]))


def _on_circle(span: Span, first: Mapping[str, Span]) -> Span:
    met = set()
    while span.id not in met:
        met.add(span.id)
        span = first[span.parent_id or ""]
    return span
