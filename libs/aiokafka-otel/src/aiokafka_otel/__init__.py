"""OpenTelemetry instrumentation that keeps a trace whole through aiokafka.

`opentelemetry-instrument` finds it by its entry point `aiokafka_otel`; an application needs no code. The one
thing to call, where a batch is handled record by record, is `process_span`; where several records are finished
together, `ProcessSpan`.
"""

from aiokafka_otel.instrumentor import AIOKafkaInstrumentor
from aiokafka_otel.processing import ProcessSpan, process_span

__all__ = ["AIOKafkaInstrumentor", "ProcessSpan", "process_span"]
