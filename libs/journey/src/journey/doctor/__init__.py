"""Says of a trace whether the journey is whole, and if not where it breaks off and why, most likely.

Each rule is a function of a Case. It sees spans only: a cause is what explains them best.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from journey.chain import Row
from journey.doctor import declared
from journey.doctor.arrivals import begun_without_context
from journey.doctor.case import SECOND, Case
from journey.doctor.cause import REMARKS, Cause, Verdict
from journey.doctor.failures import failed
from journey.doctor.finding import Diagnosis, Finding, together
from journey.doctor.gaps import missing_parents, not_understood, several_starts
from journey.doctor.messages import unread
from journey.doctor.remembered import Remembered
from journey.doctor.strays import lost_after, lost_before
from journey.formatting import moment
from journey.report import places
from journey.source import Source
from journey.trace import each_once

__all__ = ["REMARKS", "SECOND", "Case", "Cause", "Diagnosis", "Finding", "Remembered", "Verdict", "absent", "diagnose"]

RULES: Final[Sequence[Callable[[Case], Iterator[Finding]]]] = (
    missing_parents,
    not_understood,
    several_starts,
    begun_without_context,
    unread,
    failed,
    lost_after,
    lost_before,
)


def diagnose(case: Case, chain: Sequence[Row] = (), *, usual: Sequence[Row] = ()) -> Diagnosis:
    """Judge a trace by what it tells itself, and by a declared chain where there is one.

    More spans than declared are fine, as tries and dead letters bring them. Without a chain, *usual* may be one that
    the trace need not be: it only tells which messages have readers. Raises requests.RequestException if the source
    cannot be asked for what else it has.
    """
    asked = case.trace
    case = replace(case, trace=replace(asked, spans=each_once(asked.spans)))  # Zipkin has every report of a span
    awaited = declared.awaited(case, chain or usual)
    case = replace(case, ends=declared.ends(case, chain), awaited=awaited)
    findings = together(finding for rule in RULES for finding in rule(case))
    known = [finding for finding in findings if finding.cause not in REMARKS]
    findings += declared.broken_off(case, chain, known)
    findings += declared.misplaced(case, chain)
    missing = places(asked, chain, declared.missing_rows(case, chain))
    return Diagnosis(asked, tuple(findings), tuple(missing.values()))


def absent(source: Source) -> Finding:
    """Say what may have become of a trace that a source does not have."""
    oldest = source.oldest()
    since = f"the first one there is of {moment(oldest)}" if oldest else "there is none at all"
    says = f"it is not in {source.name}; {since}. Forgotten if it is older, else not sampled, or not there yet."
    return Finding(Cause.EVICTED, says)
