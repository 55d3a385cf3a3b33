"""Traces as text that is the same at each run: no ids, no times, no marks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import journey

NOTHING: Final = "(nothing)"
WIDTH: Final = 100
ERROR_TAGS: Final = ("error", "error.type", "otel.status_description")
FOLDED: Final = 4  # equal spans side by side


def drawn(traces: Sequence[journey.Trace], mark: str) -> str:
    """Draw what `journey.draw` draws, without what differs from run to run. No traces are "(nothing)"."""
    trees = [f"trace {number}\n{_tree(trace, mark)}" for number, trace in enumerate(traces, start=1)]
    return "\n\n".join(trees) or NOTHING


def _tree(trace: journey.Trace, mark: str) -> str:
    spans = tuple(
        replace(span, name=span.name.replace(f".{mark}", ""), start=None, duration=None, tags=_errors(span))
        for span in _folded(trace.spans)
    )
    _, _, tree = journey.draw(journey.Trace(trace.id, spans), width=WIDTH).partition("\n\n")
    lines = (re.sub(r"\s+\?$", "", line) for line in tree.splitlines())
    return "\n".join(re.sub(r"\b[0-9a-f]{16}\b", "…", line) for line in lines)


def _errors(span: journey.Span) -> dict[str, str]:
    return {name: value for name, value in span.tags.items() if name in ERROR_TAGS}


def _folded(spans: Sequence[journey.Span]) -> Iterator[journey.Span]:
    """Of many equal spans side by side, without any below them, leave one, with their number."""
    parents = {span.parent_id for span in spans}
    count = Counter(_looks(span) for span in spans if span.id not in parents)
    folded = set()
    for span in spans:
        number = 1 if span.id in parents else count[_looks(span)]
        if number < FOLDED:
            yield span
        elif _looks(span) not in folded:
            folded.add(_looks(span))
            yield replace(span, name=f"{span.name} ({number} times)")


def _looks(span: journey.Span) -> tuple[str | None, ...]:
    return span.parent_id, span.service, span.kind, span.name, span.error
