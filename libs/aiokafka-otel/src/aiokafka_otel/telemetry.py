"""What the wrappers share while aiokafka is instrumented."""

from dataclasses import dataclass, field
from typing import Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Tracer

from aiokafka_otel.attributes import Clients
from aiokafka_otel.config import Config
from aiokafka_otel.failures import Complaints
from aiokafka_otel.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The tracer, the instruments, the settings and the clients seen so far."""

    tracer: Tracer
    metrics: Metrics
    config: Config
    clients: Clients = field(default_factory=Clients)
    complaints: Complaints = field(default_factory=Complaints)


class _Switch:
    """On while aiokafka is instrumented.

    The wrappers look here at each call, so that one which another library has wrapped again, and which therefore
    cannot be removed, does nothing any more.
    """

    def __init__(self) -> None:
        self.telemetry: Telemetry | None = None

    def recording(self) -> Telemetry | None:
        """Return the telemetry, unless there is none or the current context suppresses instrumentation."""
        return self.telemetry if self.telemetry is not None and is_instrumentation_enabled() else None


switch: Final = _Switch()
