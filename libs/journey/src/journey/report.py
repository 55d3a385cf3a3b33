"""Where a trace differs from a chain, for people: each difference as a sentence, and marked in the tree."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from journey.chain import Difference, Row, by_key, compare, key
from journey.draw import draw
from journey.trace import Span, Trace


def report(trace: Trace, chain: Sequence[Row], remote_parent: str | None = None, width: int = 100) -> str:
    """List how a trace differs from a chain and draw it, the wrong lines marked and missing rows in their places.

    Returns "" where it does not differ. For `remote_parent` see `differences`.
    """
    found = compare(trace, chain, remote_parent)
    if not found:
        return ""
    missing = places(trace, chain, [each.missing for each in found if each.missing], remote_parent)
    lines = [f"- {each.text}" for each in found]
    return "\n".join([*lines, "", draw(trace, width, marks=_marks(found, missing), missing=list(missing.values()))])


def places(
    trace: Trace, chain: Sequence[Row], absent: Sequence[Row], remote_parent: str | None = None
) -> Mapping[int, Span]:
    """Make a span for each row that a trace does not have, to be drawn where it should be; by the row's number."""
    rows, spans = {row.number: row for row in chain}, by_key(trace)
    numbers = {row.number for row in absent}
    ids = {row.number: _id(trace, row, chain, spans) for row in absent}

    def parent_of(row: Row) -> str | None:
        if row.parent is None:
            return remote_parent
        if row.parent in numbers:
            return ids[row.parent]
        present = spans.get(key(rows[row.parent])) if row.parent in rows else None
        return present[0].id if present else None

    return {
        row.number: Span(trace.id, ids[row.number], parent_of(row), row.name, row.service, row.kind) for row in absent
    }


def _id(trace: Trace, row: Row, chain: Sequence[Row], spans: Mapping[tuple[str, str, str], Sequence[Span]]) -> str:
    # What names a parent that is not there is drawn under the missing row.
    known = {span.id for span in trace.spans}
    for child in (each for each in chain if each.parent == row.number):
        for span in spans.get(key(child), ()):
            if span.parent_id and span.parent_id not in known:
                return span.parent_id
    return f"row {row.number}"


def _marks(found: Sequence[Difference], missing: Mapping[int, Span]) -> Mapping[str, Sequence[str]]:
    marks: dict[str, list[str]] = defaultdict(list)
    for difference in found:
        for id in _ids(difference, missing):
            marks[id].append(difference.text)
    return marks


def _ids(difference: Difference, missing: Mapping[int, Span]) -> Iterator[str]:
    yield from difference.spans
    if difference.missing:
        yield missing[difference.missing.number].id
