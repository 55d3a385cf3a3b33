"""The attributes of spans that the semantic conventions do not have, each with its type and meaning."""

from typing import Final

QUEUE_WAIT: Final = "journey.queue.wait_ms"

ATTRIBUTES: Final = {
    QUEUE_WAIT: (
        "int",
        "How long a record was in its topic: from its timestamp to its hand-over, in milliseconds, never negative. "
        "On `process` spans.",
    ),
}
