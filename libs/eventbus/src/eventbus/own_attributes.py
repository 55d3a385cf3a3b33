"""The attributes of spans that the semantic conventions do not have, and the headers of messages that are set aside.

Each has its type and meaning.
"""

from typing import Final

DUPLICATE: Final = "journey.duplicate"
RETRY_DUE: Final = "journey.retry.due"

ATTRIBUTES: Final = {
    DUPLICATE: ("boolean", "True if the message had been handled before, so that this time had no effect."),
    RETRY_DUE: ("string", "When the message is tried again: RFC 3339 in UTC. On the `process` span that failed."),
}

CONSUMER_GROUP: Final = "dlq.consumer-group"
ATTEMPTS: Final = "dlq.attempts"
ERROR_TYPE: Final = "dlq.error-type"
ERROR_MESSAGE: Final = "dlq.error-message"
# Says which parts are missing; a letter that has it cannot be sent back.
LEFT_OUT: Final = "dlq.left-out"
VALUE_BYTES: Final = "dlq.value-bytes"
VALUE_SHA256: Final = "dlq.value-sha256"
RETRY_ATTEMPT: Final = "retry.attempt"
RETRY_HEADER_DUE: Final = "retry.due"

_ORIGIN: Final = {
    "original-topic": ("string", "The first topic of the message, not that of retries."),
    "original-partition": ("int", "The partition there."),
    "original-offset": ("int", "The offset there."),
    "original-timestamp": ("int", "The record's timestamp there, in milliseconds since the epoch; -1 if it had none."),
    "first-failed-at": ("string", "When the message failed first: RFC 3339 in UTC."),
}

HEADERS: Final = {
    **{f"dlq.{name}": about for name, about in _ORIGIN.items()},
    CONSUMER_GROUP: ("string", "The consumer group that could not handle the message."),
    ATTEMPTS: ("int", "How often it was tried."),
    ERROR_TYPE: ("string", "The full name of the error's class, as in `error.type`; the bare name in older letters."),
    ERROR_MESSAGE: ("string", "What is wrong, without a quotation from the message; 512 characters at most."),
    "dlq.original-traceparent": ("string", "The header `traceparent` of the message, as it came."),
    "dlq.original-tracestate": ("string", "The header `tracestate` of the message, as it came."),
    "dlq.original-baggage": ("string", "The header `baggage` of the message, as it came."),
    LEFT_OUT: ("string", "Which parts the letter lacks, because the message was too large for the topic."),
    VALUE_BYTES: ("int", "The size of the value that was left out."),
    VALUE_SHA256: ("string", "The SHA-256 of the value that was left out."),
    **{f"retry.{name}": about for name, about in _ORIGIN.items()},
    RETRY_ATTEMPT: ("int", "How often the message has been tried so far."),
    RETRY_HEADER_DUE: ("int", "When it is tried again, in milliseconds since the epoch."),
}
