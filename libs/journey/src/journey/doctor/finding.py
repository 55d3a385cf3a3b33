"""What the doctor finds, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from journey.trace import Span, Trace


class Cause(StrEnum):
    """Why a journey is not whole, most likely."""

    NOT_INJECTED = "context not injected"
    STRIPPED = "header stripped"
    REPLACED = "header replaced"
    LINKED = "linked, not continued"
    LOST = "context lost"
    NOT_RUNNING = "consumer not running"
    QUEUED = "still in the queue"
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
}


@dataclass(frozen=True)
class Finding:
    """One place where a journey is not whole: what is missing, and what is likely the reason."""

    cause: Cause
    says: str
    at: str = ""
    """The id of the span where the journey breaks off, or of the one that is missing."""
    other_trace: str | None = None
    """Where the journey goes on, or where it comes from."""
    due: int | None = None
    """When it will go on, in microseconds since the epoch."""

    @property
    def check(self) -> str:
        """What to look at next."""
        return CHECKS[self.cause]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says of one trace. `missing` are the spans of a declared chain that it does not have."""

    trace: Trace
    findings: tuple[Finding, ...]
    missing: tuple[Span, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.findings
