"""What a declared chain expects beyond what the trace itself tells."""

from collections.abc import Collection, Iterator, Sequence

from journey.chain import Row, by_key, key, named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.report import places
from journey.trace import Span


def missing_rows(case: Case, chain: Sequence[Row]) -> list[Row]:
    """Return the rows that the trace does not have. More spans than declared are fine: tries, dead letters, repeats."""
    spans = by_key(case.trace)
    return [row for row in chain if not spans.get(key(row))]


def ends(case: Case, chain: Sequence[Row]) -> Collection[str]:
    """Return the ids of the spans after which the chain has nothing."""
    spans, parents = by_key(case.trace), {row.parent for row in chain}
    return {span.id for row in chain if row.number not in parents for span in spans.get(key(row), ())}


def awaited(case: Case, chain: Sequence[Row]) -> Collection[str]:
    """Return the ids of the spans whose message the chain has a reader for."""
    spans, parents = by_key(case.trace), {row.parent for row in chain if row.kind == "CONSUMER"}
    return {span.id for row in chain if row.number in parents for span in spans.get(key(row), ())}


def broken_off(case: Case, chain: Sequence[Row], known: Sequence[Finding]) -> Iterator[Finding]:
    """Find the first missing row of each branch, where no other finding tells why it is missing."""
    spans, rows = by_key(case.trace), {row.number: row for row in chain}
    missing = missing_rows(case, chain)
    drawn = places(case.trace, chain, missing)
    for row in missing:
        if row.parent in drawn:
            continue
        before = spans.get(key(rows[row.parent]), []) if row.parent in rows else []
        here = drawn[row.number].id
        if not any(finding.at == here or _tells(case, finding, before) for finding in known):
            yield _not_there(case, row, here, before)


def misplaced(case: Case, chain: Sequence[Row]) -> Iterator[Finding]:
    """Find rows that are not below the row that they should be below of, at whatever distance: tries lie between."""
    spans, rows = by_key(case.trace), {row.number: row for row in chain}
    for row in chain:
        here, above = spans.get(key(row), []), spans.get(key(rows[row.parent]), []) if row.parent in rows else []
        wanted = {span.id for span in above}
        if here and above and not any(each.id in wanted for span in here for each in case.ancestors(span)):
            says = f"Row {row.number}, {named(here[0])}, is not below row {row.parent}, {named(above[0])}."
            yield Finding(Cause.MISPLACED, says, here[0].id)


def _tells(case: Case, finding: Finding, before: Sequence[Span]) -> bool:
    """Tell whether a finding is at these spans or below them; a row without one before it is told by any."""
    if not before:
        return True
    at, wanted = case.by_id.get(finding.at), {span.id for span in before}
    return at is not None and any(each.id in wanted for each in (at, *case.ancestors(at)))


def _not_there(case: Case, row: Row, here: str, before: Sequence[Span]) -> Finding:
    hop = f"Row {row.number} is missing: {row}"
    if case.young:
        return Finding(Cause.UNDER_WAY, f"{hop}, yet.", here)
    if not before:
        return Finding(Cause.DROPPED, f"{hop}. The journey has no start.", here)
    if row.kind == "CONSUMER":
        return Finding(Cause.NOT_RUNNING, f"{hop}. Others have read what {named(before[0])} sent.", here)
    return Finding(Cause.NOT_SENT, f"{hop}. {named(before[0])} is there and did not lead to it.", here)
