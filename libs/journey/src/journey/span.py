"""A span, as Zipkin and files have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self


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
    kind: str  # SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL
    start: int | None = None
    duration: int | None = None
    remote_service: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_zipkin(cls, span: Mapping[str, Any]) -> Self:
        """Read a span of Zipkin's API v2. KeyError where it has no id or no trace id."""
        return cls(
            trace_id=span["traceId"],
            id=span["id"],
            parent_id=span.get("parentId"),
            name=span.get("name", ""),
            service=span.get("localEndpoint", {}).get("serviceName", ""),
            kind=span.get("kind", "INTERNAL"),
            start=span.get("timestamp"),
            duration=span.get("duration"),
            remote_service=span.get("remoteEndpoint", {}).get("serviceName"),
            tags=span.get("tags", {}),
        )

    @property
    def identity(self) -> Identity:
        """What tells this span from the others of its trace. Reports with one identity are about one span."""
        return Identity(self.id, self.kind, self.service)

    @property
    def end(self) -> int | None:
        """The start plus the duration, if any; None where there is no start."""
        return None if self.start is None else self.start + (self.duration or 0)

    @property
    def error(self) -> str | None:
        """The error's type and description, as far as Zipkin has them; None without the tag `error`, as in Zipkin."""
        if "error" not in self.tags:
            return None
        kind, description = self.tags.get("error.type", ""), self.tags.get("otel.status_description", "")
        if description.startswith(f"{kind}: "):  # OpenTelemetry's own descriptions begin with the type
            return description
        return ": ".join(filter(None, (kind, description))) or self.tags["error"]
