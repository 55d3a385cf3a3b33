"""What is kept of a record that is too large for its dead letter topic: size and hash, beside place and reason."""

import hashlib
from dataclasses import dataclass
from typing import Any

from eventbus.cloudevents import Headers
from eventbus.own_attributes import LEFT_OUT, VALUE_BYTES, VALUE_SHA256

# With this much a letter fits into any topic: the smallest limit that makes sense is far above.
_MAX_PART = 1024
_MAX_HEADERS = 16 * 1024


@dataclass(frozen=True)
class Cut:
    """A record without its value and whatever else of it is large; *about* tells what is missing, as headers."""

    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    about: Headers


def cut(record: Any) -> Cut:
    """Return a consumed record without its value, without a key or a header over 1 KB, and with 16 KB of headers.

    The size and the SHA-256 of the value tell whether a record that is found elsewhere is the same.
    """
    missing: list[str] = []
    about: Headers = []
    if record.value is not None:
        missing.append("value")
        about.append((VALUE_BYTES, str(len(record.value)).encode()))
        about.append((VALUE_SHA256, hashlib.sha256(record.value).hexdigest().encode()))
    key = record.key
    if key is not None and len(key) > _MAX_PART:
        missing.append("key")
        key = None
    headers, room = [], _MAX_HEADERS
    for name, value in record.headers:
        size = len(name.encode()) + len(value or b"")
        if size <= min(_MAX_PART, room):
            headers.append((name, value))
            room -= size
    if left_out := len(record.headers) - len(headers):
        missing.append(f"{left_out} header{'s' if left_out > 1 else ''}")
    return Cut(key, headers, [*about, (LEFT_OUT, ", ".join(missing).encode())])
