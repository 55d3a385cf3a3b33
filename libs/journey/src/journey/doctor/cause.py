"""What may be wrong with a journey, what to check then, and what it makes of the journey."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


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
    NOT_UNDERSTOOD = "not understood"
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
    Cause.EVICTED: (
        "how long spans are kept: MEM_MAX_SPANS and restarts of what keeps them, files that were put aside. Files that "
        "the Collector writes (--otlp) remember longest."
    ),
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
    Cause.NOT_UNDERSTOOD: "what wrote the file: which version, which format? What is said of the span is what to mend.",
    Cause.POLLED: "should anything come of it? Then what handles the message begins no span, or is not instrumented.",
    Cause.NOBODY: (
        "should anybody read it? Then the reader has never run, or is not instrumented. If the journey is meant to "
        "end, say so: --end TOPIC, or ends in the chain's file."
    ),
}
