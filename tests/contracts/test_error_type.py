"""`error.type` means the same on every span, whoever sets it: the full name of the error's class."""

import smtplib
from collections.abc import Callable

import pytest
import smtplib_otel
from aiokafka_otel import failures
from eventbus import Poison
from eventbus.process.spans import mark_failed
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span


class Outer:
    class Refused(Exception):
        """An error whose class is within another one."""


@pytest.mark.parametrize(
    "error", [KeyError("a"), Poison("b"), Outer.Refused(), smtplib.SMTPDataError(554, b"no")], ids=repr
)
@pytest.mark.parametrize("mark", [mark_failed, failures.mark, smtplib_otel._record])
def test_an_error_has_the_type_that_the_sdk_gives_it(mark: Callable[[Span, Exception], None], error: Exception) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("the sdk's") as reference:
        reference.record_exception(error)
    with tracer.start_as_current_span("ours") as span:
        mark(span, error)
    reference_span, ours = exporter.get_finished_spans()
    expected = (reference_span.events[0].attributes or {})["exception.type"]

    assert (ours.attributes or {})["error.type"] == expected
    assert (ours.events[0].attributes or {})["exception.type"] == expected
