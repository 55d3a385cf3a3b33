"""A span, as Zipkin and files have it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from journey.spelling import text

_HTTP_STATUS: Final = ("http.response.status_code", "http.status_code")
KINDS: Final = ("SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL")


class Identity(NamedTuple):
    """What tells a span from the others of its trace: B3's client and server share an id."""

    id: str
    kind: str
    service: str


@dataclass(frozen=True)
class Span:
    """One span. Times are microseconds, `start` since the epoch; None where Zipkin has none.

    Zipkin lower-cases `name`, `service` and `remote_service`. A name that Zipkin does not have is "".
    """

    trace_id: str
    id: str
    parent_id: str | None
    name: str
    service: str
    kind: str  # one of KINDS
    start: int | None = None
    duration: int | None = None
    remote_service: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_zipkin(cls, span: Mapping[str, Any]) -> Self:
        """Read a span of Zipkin's API v2.

        ValueError, KeyError, TypeError or AttributeError if it is none: without an id or a trace id, of a kind that is
        none.
        """
        ids = {name: (span.get(name) or "").lower() for name in ("traceId", "id", "parentId")}
        if not ids["traceId"].strip("0") or not ids["id"].strip("0"):
            raise ValueError("it has no id" if ids["traceId"] else "it has no trace id")
        if (kind := span.get("kind") or "INTERNAL") not in KINDS:
            raise ValueError(f"the kind {kind!r} is none of {', '.join(KINDS)}")
        return cls(
            trace_id=ids["traceId"],
            id=ids["id"],
            parent_id=ids["parentId"] if ids["parentId"].strip("0") else None,
            name=text(span.get("name")),
            service=_service(span.get("localEndpoint")),
            kind=kind,
            start=_time(span.get("timestamp")),
            duration=_whole(span.get("duration")),
            remote_service=_service(span.get("remoteEndpoint")) or None,
            tags=_texts(span.get("tags")),
        )

    @property
    def identity(self) -> Identity:
        """What tells this span from the others of its trace. Reports with one identity are about one span."""
        return Identity(self.id, self.kind, self.service)

    @property
    def end(self) -> int | None:
        """The start plus the duration, if any; None if there is no start."""
        return None if self.start is None else self.start + (self.duration or 0)

    @property
    def error(self) -> str | None:
        """The error's type and description, as far as Zipkin has them; None without the tag `error`, as in Zipkin.

        An HTTP error says its status code.
        """
        if "error" not in self.tags:
            return None
        kind, description = self.tags.get("error.type", ""), self.tags.get("otel.status_description", "")
        # OpenTelemetry's own descriptions begin with the type, with or without its module.
        if description.startswith((f"{kind}: ", f"{kind.rpartition('.')[2]}: ")):
            kind = ""
        told = ": ".join(filter(None, (kind, description))) or self.tags["error"]
        return _with_status(told, next(filter(None, map(self.tags.get, _HTTP_STATUS)), ""))


def _with_status(told: str, status: str) -> str:
    if not status:
        return told
    if told in ("", "true", "false"):  # the tag says no more than that there is an error
        return f"HTTP {status}"
    if re.match(rf"{re.escape(status)}\b", told):
        return f"HTTP {told}"
    return told if re.search(rf"\b{re.escape(status)}\b", told) else f"HTTP {status}: {told}"


def _service(endpoint: Mapping[str, object] | None) -> str:
    return text((endpoint or {}).get("serviceName"))


def _time(number: object) -> int | None:
    time = _whole(number)
    if time is not None and time < 0:
        raise ValueError(f"the time {number!r} is none")
    return time


def _whole(number: object) -> int | None:
    if not isinstance(number, int | None):
        raise ValueError(f"{number!r} is no number of microseconds")
    return number


def _texts(tags: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: tag if isinstance(tag, str) else json.dumps(tag) for name, tag in (tags or {}).items()}
