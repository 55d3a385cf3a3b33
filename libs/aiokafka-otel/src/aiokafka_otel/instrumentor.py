"""Switch the instrumentation on and off."""

import warnings
from collections.abc import Collection
from importlib.metadata import version
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from opentelemetry import context, metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.semconv.schemas import Schemas
from wrapt import wrap_function_wrapper

from aiokafka_otel import background, consuming, producing
from aiokafka_otel.config import Config, meter_provider
from aiokafka_otel.current_records import current_records
from aiokafka_otel.metrics import Metrics
from aiokafka_otel.scopes import leave_closed
from aiokafka_otel.stock import ADVICE, stock_is_in_charge
from aiokafka_otel.telemetry import Telemetry, switch

_WRAPPERS: Final = (
    (AIOKafkaConnection, "connect", background.start),
    (AIOKafkaProducer, "start", background.start),
    (AIOKafkaProducer, "send", producing.send),
    (AIOKafkaConsumer, "start", background.start),
    (AIOKafkaConsumer, "getone", consuming.getone),
    (AIOKafkaConsumer, "__anext__", consuming.anext),
    (AIOKafkaConsumer, "getmany", consuming.getmany),
    (AIOKafkaConsumer, "stop", consuming.stop),
)


class AIOKafkaInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Trace what aiokafka's producers and consumers send and hand over.

    `instrument` takes `tracer_provider` and `meter_provider`; without them the global ones are used, or no meters if
    `OTEL_METRICS_EXPORTER` is `none`. If the stock instrumentation is installed and not disabled it does nothing
    but say so.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the range of aiokafka that this is tested with."""
        return ("aiokafka >= 0.14, < 0.15",)

    def _instrument(self, **kwargs: Any) -> None:
        if stock_is_in_charge():
            # Not the log: when instrumentation starts, the only handler may be the SDK's, and nobody reads it yet.
            warnings.warn(ADVICE, RuntimeWarning, stacklevel=2)
            return
        release, schema = version("aiokafka-otel"), Schemas.V1_44_0.value
        meters = kwargs.get("meter_provider") or meter_provider()
        switch.telemetry = Telemetry(
            tracer=trace.get_tracer("aiokafka_otel", release, kwargs.get("tracer_provider"), schema),
            metrics=Metrics.of(metrics.get_meter("aiokafka_otel", release, meters, schema)),
            config=Config.from_environment(),
        )
        for owner, method, wrapper in _WRAPPERS:
            wrap_function_wrapper(owner, method, wrapper)

    def _uninstrument(self, **kwargs: Any) -> None:
        """Restore aiokafka, and end the spans of the current records: nobody else will."""
        switch.telemetry = None
        for owner, method, _ in _WRAPPERS:
            unwrap(owner, method)
        current_records.finish_all()
        leave_closed(context.get_current())
