"""What a journey should look like, as data, and how a trace differs from it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from journey.trace import Span, Trace


@dataclass(frozen=True)
class Row:
    """One expected span. `parent` is the number of its parent's row; None is the root, whose parent is the caller.

    Service, kind and name tell the rows of a chain apart. Case does not matter: Zipkin lower-cases.
    """

    number: int
    service: str
    kind: str
    name: str
    parent: int | None

    def __str__(self) -> str:
        return f"{self.service} {self.kind} `{self.name}`"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as declared: a sentence, and the ids of the spans or the missing row that it is about."""

    text: str
    spans: tuple[str, ...] = ()
    missing: Row | None = None


def differences(trace: Trace, chain: Sequence[Row], remote_parent: str | None) -> list[str]:
    """Compare a trace with a chain. An empty list means: every row once, every parent right, no span more.

    `remote_parent` is the id of the caller's span, where the caller sent a `traceparent`: the root has it as parent
    although the trace does not have that span. With None the root must have no parent. Times, tags and errors are
    not compared. Each difference is a sentence.
    """
    return [each.text for each in compare(trace, chain, remote_parent)]


def compare(trace: Trace, chain: Sequence[Row], remote_parent: str | None) -> list[Difference]:
    """Compare like `differences`, and tell which spans each difference is about."""
    spans = by_key(trace)
    found = [(row, spans.pop(key(row), [])) for row in chain]
    once = {row.number: matches[0] for row, matches in found if len(matches) == 1}
    unexpected = [span for matches in spans.values() for span in matches]
    return [
        *_in_other_traces(trace),
        *_not_once(found),
        *_with_other_parents(trace, chain, once, remote_parent),
        *(
            Difference(
                f"{named(span)} is not in the chain; its parent is {_parent(span, trace).rstrip(',')}.", (span.id,)
            )
            for span in unexpected
        ),
    ]


def key(span: Span | Row) -> tuple[str, str, str]:
    """Return what tells the rows of a chain apart, of a row or of a span."""
    return span.service.lower(), span.kind.upper(), span.name.lower()


def by_key(trace: Trace) -> dict[tuple[str, str, str], list[Span]]:
    """Return the spans of a trace by what tells rows apart."""
    spans: dict[tuple[str, str, str], list[Span]] = defaultdict(list)
    for span in trace.spans:
        spans[key(span)].append(span)
    return spans


def _in_other_traces(trace: Trace) -> Iterator[Difference]:
    for span in trace.spans:
        if span.trace_id != trace.id:
            yield Difference(f"{named(span)} belongs to trace {span.trace_id}, not to {trace.id}.", (span.id,))


def _not_once(found: Sequence[tuple[Row, Sequence[Span]]]) -> Iterator[Difference]:
    for row, spans in found:
        if not spans:
            yield Difference(f"Row {row.number} is missing: {row}.", missing=row)
        elif len(spans) > 1:
            ids = tuple(span.id for span in spans)
            yield Difference(
                f"Row {row.number} is there {len(spans)} times instead of once: {row}, spans {', '.join(ids)}.", ids
            )


def _with_other_parents(
    trace: Trace, chain: Sequence[Row], once: dict[int, Span], remote_parent: str | None
) -> Iterator[Difference]:
    rows = {row.number: row for row in chain}
    for number, span in once.items():
        parent = rows[number].parent
        if parent is None:
            wanted = remote_parent.lower() if remote_parent else None
            right = span.parent_id == wanted
            instead = f"instead of the caller's span {wanted}" if wanted else "although the caller sent no context"
        elif parent in once:
            above = trace.parent(span)
            right = above is not None and above.identity == once[parent].identity
            instead = f"instead of row {parent}, {named(once[parent])}"
        else:
            continue  # the missing or repeated parent is a difference of its own
        if not right:
            yield Difference(
                f"The parent of row {number}, {named(span)}, is {_parent(span, trace)} {instead}.", (span.id,)
            )


def named(span: Span) -> str:
    """Name a span in a sentence."""
    return f"{span.service} {span.kind} `{span.name}` ({span.id})"


def _parent(span: Span, trace: Trace) -> str:
    if parent := trace.parent(span):
        return named(parent)
    return "nothing" if span.parent_id is None else f"{span.parent_id}, which is not in the trace,"
