"""What the wrappers share while aiokafka is instrumented."""

from dataclasses import dataclass, field
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import Tracer

from aiokafka_otel.attributes import Clients
from aiokafka_otel.config import Config
from aiokafka_otel.failures import Complaints
from aiokafka_otel.metrics import Metrics


def _suppressing() -> tuple[str, ...]:
    token = otel.attach(Context())
    try:
        with suppress_instrumentation():
            return tuple(otel.get_current())
    finally:
        otel.detach(token)


# The keys have no public names, and `is_instrumentation_enabled` looks up the current context for each of them.
_SUPPRESSING: Final = _suppressing()


def is_suppressed(context: Context) -> bool:
    """Tell whether instrumentation is suppressed in the context."""
    for key in _SUPPRESSING:
        if context.get(key):
            return True
    return False


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
        return None if self.telemetry is None or is_suppressed(otel.get_current()) else self.telemetry


switch: Final = _Switch()
