"""What `OTEL_PYTHON_ID_GENERATOR=repeatable` selects.

A module of its own, which the SDK loads by its entry point: the library itself needs the API only.
"""

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from aiokafka_otel import ids


class RepeatableIdGenerator(RandomIdGenerator):
    """Random ids, except for spans that a redelivery of their message would start again: those have the same again."""

    def __init__(self) -> None:
        ids.want()

    def generate_span_id(self) -> int:
        """Return the id that the instrumentation has asked for in this context, or a random one."""
        return ids.take() or super().generate_span_id()
