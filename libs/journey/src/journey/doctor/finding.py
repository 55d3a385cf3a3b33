"""What the doctor finds, as data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from journey.doctor.cause import CHECKS, REMARKS, WAITING, Cause, Verdict
from journey.trace import Span, Trace


@dataclass(frozen=True)
class Finding:
    """One place where a journey is not whole, or a remark: what is missing, and what is likely the reason."""

    cause: Cause
    says: str
    at: str = ""
    """The id of the span where the journey breaks off, or of the one that is missing."""
    other_trace: str | None = None
    """Where the journey goes on, or where it comes from."""
    due: int | None = None
    """When it will go on, in microseconds since the epoch."""
    about: str = ""
    """A topic, or a step: what is found several times of one of them is one finding."""
    overdue: bool = False
    """It waits for longer than others did."""

    @property
    def check(self) -> str:
        """What to look at next."""
        return CHECKS[self.cause]

    @property
    def verdict(self) -> Verdict:
        """What a journey is of which there is nothing else to say."""
        if self.cause in REMARKS:
            return Verdict.WHOLE
        return Verdict.WAITING if self.cause in WAITING and not self.overdue else Verdict.BROKEN


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Make one of the findings that have the same cause and are about the same: the first, with their number."""
    alike: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        alike.setdefault((finding.cause, finding.overdue, finding.about) if finding.about else number, []).append(
            finding
        )
    return [
        replace(first, says=f"{first.says} The same is true of {len(rest)} more.") if rest else first
        for first, *rest in alike.values()
    ]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says of one trace. `missing` are the spans of a declared chain that it does not have."""

    trace: Trace
    findings: tuple[Finding, ...]
    missing: tuple[Span, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst that a finding makes of it."""
        given = {finding.verdict for finding in self.findings}
        return next((each for each in (Verdict.BROKEN, Verdict.WAITING) if each in given), Verdict.WHOLE)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing. There may be remarks."""
        return self.verdict is Verdict.WHOLE
