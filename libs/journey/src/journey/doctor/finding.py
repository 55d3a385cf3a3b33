"""What the doctor finds, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from journey.trace import Span, Trace


class Verdict(StrEnum):
    """What the doctor says of a journey in a word."""

    WHOLE = "whole"
    WAITING = "not whole yet"
    BROKEN = "broken"


class Cause(StrEnum):
    """Why a journey is not whole, most likely; the last two are remarks on one that is."""

    NOT_INJECTED = "context not injected"
    STRIPPED = "header stripped"
    REPLACED = "header replaced"
    LINKED = "linked, not continued"
    LOST = "context lost"
    NOT_RUNNING = "consumer not running"
    QUEUED = "still in the queue"
    IN_HAND = "in hand"
    UNDER_WAY = "under way"
    DROPPED = "span dropped"
    NOT_SAMPLED = "not sampled"
    EVICTED = "evicted"
    RETRY = "in retry"
    DEAD = "in the dead letters"
    FAILED = "failed"
    NOT_SENT = "not sent"
    MISPLACED = "wrong parent"
    TWO_STARTS = "several starts"
    POLLED = "only polled"
    NOBODY = "nobody reads the topic"


REMARKS: Final = frozenset({Cause.POLLED, Cause.NOBODY})
# A journey that may become whole by itself.
WAITING: Final = frozenset({Cause.QUEUED, Cause.IN_HAND, Cause.UNDER_WAY, Cause.RETRY})

# What to look at next, for any system.
CHECKS: Final[Mapping[Cause, str]] = {
    Cause.NOT_INJECTED: (
        "is the program that sends instrumented, and does it run under opentelemetry-instrument? Look at the record's"
        " headers: there is no readable traceparent."
    ),
    Cause.STRIPPED: (
        "OTEL_PROPAGATORS of the sender, and what the record passes on its way (a mirror, a connector, code that "
        "copies records without their headers)."
    ),
    Cause.REPLACED: (
        "does somebody send a record on with the headers that it came with? Each sending needs a traceparent of its "
        "own."
    ),
    Cause.LINKED: "the other trace has the rest. Does the consumer take batches, or only link (AIOKAFKA_OTEL_PARENT)?",
    Cause.LOST: (
        "which instrumentation has the consumer? One that ends its span when the record is handed over leaves the "
        "handler without a context; so do threads and tasks that do not carry it."
    ),
    Cause.NOT_RUNNING: (
        "does the consumer of the topic run, has it partitions, is it instrumented? How far is its group behind "
        "(kafka-consumer-groups.sh --describe, eventbus lag)?"
    ),
    Cause.QUEUED: (
        "look again in a moment; if it stays, how far is the consumer's group behind (kafka-consumer-groups.sh "
        "--describe, eventbus lag)?"
    ),
    Cause.IN_HAND: (
        "the log and the status of the consumer: what does it wait for? If it does not run, the message is tried again "
        "when it starts."
    ),
    Cause.UNDER_WAY: "look again in a moment.",
    Cause.DROPPED: (
        "was a process killed, or its queue of spans full? Its log about the exporter, the Collector's metrics of "
        "refused and failed spans, an audit file."
    ),
    Cause.NOT_SAMPLED: (
        "OTEL_TRACES_SAMPLER of the sender, and whether its caller's traceparent ends in 00; does its exporter reach "
        "the same Collector?"
    ),
    Cause.EVICTED: "MEM_MAX_SPANS and restarts of Zipkin; files that the Collector writes (--otlp) remember longer.",
    Cause.RETRY: "look again when it is due; the error of the try before says why.",
    Cause.DEAD: (
        "the error of the last try says why; when that is mended, send the letter back (eventbus dlq list, eventbus "
        "dlq redrive)."
    ),
    Cause.FAILED: "the error, and the log of the service with this trace id.",
    Cause.NOT_SENT: (
        "the log of the service with this trace id; where it writes an outbox, whether that is relayed (eventbus "
        "outbox)."
    ),
    Cause.MISPLACED: (
        "where the context is taken from: a span belongs under the step that caused it, not under one that happens to"
        " be current."
    ),
    Cause.TWO_STARTS: "does a caller use one traceparent, or one trace id, for several journeys?",
    Cause.POLLED: "should anything come of it? Then what handles the message begins no span, or is not instrumented.",
    Cause.NOBODY: (
        "should anybody read it? Then the reader has never run, or is not instrumented. Where the journey is meant to "
        "end, say so: --end TOPIC, or ends in the chain's file."
    ),
}


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
