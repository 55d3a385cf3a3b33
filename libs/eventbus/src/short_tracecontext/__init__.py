"""W3C trace context with a tracestate that a caller cannot make long: it goes into every record and onto every span.

A package of its own: OpenTelemetry loads propagators before it instruments anything.
"""

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# What everybody should let pass, and which members go first: https://www.w3.org/TR/trace-context/#tracestate-limits
MAX_LENGTH: Final = 512
LARGE_MEMBER: Final = 128


class ShortTraceContext(TraceContextTextMapPropagator):
    """Read ``traceparent`` and ``tracestate``, and keep at most 512 characters of the latter, in whole members.

    Members of more than 128 characters go first, then those at the end. What is written is what was kept.
    """

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return *context* with the caller's span, where *carrier* names one."""
        before = Context() if context is None else context
        extracted = super().extract(carrier, before, getter)
        caller = trace.get_current_span(extracted).get_span_context()
        if extracted is before or len(caller.trace_state.to_header()) <= MAX_LENGTH:
            return extracted
        kept = SpanContext(
            caller.trace_id,
            caller.span_id,
            is_remote=True,
            trace_flags=caller.trace_flags,
            trace_state=_shortened(caller),
        )
        return trace.set_span_in_context(NonRecordingSpan(kept), before)


def _shortened(caller: SpanContext) -> TraceState:
    members = list(caller.trace_state.items())
    while len(TraceState(members).to_header()) > MAX_LENGTH:
        large = [at for at, (name, value) in enumerate(members) if len(f"{name}={value}") > LARGE_MEMBER]
        del members[large[-1] if large else -1]
    return TraceState(members)
