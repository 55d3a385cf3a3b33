"""What of an output is the same each time: all but ids, times, durations, bars, and places in Kafka."""

import re
from typing import Final

_VARIES: Final = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"\b([0-9a-f]{32}|[0-9a-f]{16})\b", "<id>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "<time>"),
    (r"\b[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (GMT|[+-]\d{4})", "<time>"),
    (r"\b(\d+ min )?\d+(\.\d+)? (µs|ms|s)\b", "<duration>"),
    (r"\bINV-\d+", "INV-<number>"),
    (r"(?i)\b(content-length|partition|offset)(\W+)\d+", r"\1\2<number>"),
    (r"\b\d+:\d+\b", "<place>"),
    (r"\('127\.0\.0\.1', \d+\)", "<peer>"),
    (r"\b\d{13}\b", "<time>"),
    (r"[█░]+", ""),
    (r"(?<=\S) +", " "),
    (r" $", ""),
)


def structure(output: str) -> str:
    """Return *output* with placeholders for what varies from run to run."""
    for pattern, placeholder in _VARIES:
        output = re.sub(pattern, placeholder, output, flags=re.M)
    return output
