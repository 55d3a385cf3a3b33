"""Steps that failed, and after which nothing went on."""

from collections.abc import Iterator

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.finding import Cause, Finding
from journey.trace import Span


def failed(case: Case) -> Iterator[Finding]:
    """Find errors that ended the journey: not set aside, not tried again, and not the caller's to deal with."""
    for span in {span.id: span for span in case.trace.spans if span.error}.values():
        if _again(case, span):
            continue
        if span.kind == "PRODUCER":
            yield Finding(Cause.NOT_SENT, f"{named(span)} could not send: {span.error}.", span.id)
        elif span.kind == "CONSUMER" and not _sends(case, span):
            says = f"{named(span)} failed and did not set the message aside: {span.error}."
            yield Finding(Cause.FAILED, says, span.id)
        elif span.kind == "SERVER" and not _sends(case, span):
            yield Finding(Cause.FAILED, f"{named(span)} failed: {span.error}.", span.id)


def _again(case: Case, span: Span) -> bool:
    """Tell whether the same was done without an error: a second try, a redelivery."""
    return any(
        other.error is None and (other.parent_id, other.kind, other.name) == (span.parent_id, span.kind, span.name)
        for other in case.trace.spans
    )


def _sends(case: Case, span: Span) -> bool:
    return any(each.kind == "PRODUCER" for each in case.children.get(span.id, ()))
