"""What `OTEL_TRACES_EXPORTER=otlp_counted` selects: OTLP over HTTP, which knows what it has lost."""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from span_export import lost

log = logging.getLogger(__name__)


class Exporter(OTLPSpanExporter):
    """Export spans as the SDK's exporter does, with its settings; a span that cannot be encoded costs no other one.

    Every span that is not exported is counted in `lost`. The SDK drops it: nobody tries it again.
    """

    _losing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Return SUCCESS if the Collector has all *spans* that can be encoded."""
        result, good = super().export(spans), spans
        if result is not SpanExportResult.SUCCESS:
            good = [span for span in spans if _can_be_encoded(span)]
            lost.spans += len(spans) - len(good)
            if good and len(good) < len(spans):
                result = super().export(good)
        if good and result is not SpanExportResult.SUCCESS:
            lost.spans += len(good)
        self._say(bool(good) and result is not SpanExportResult.SUCCESS)
        return result

    def _say(self, losing: bool) -> None:
        if losing and not self._losing:
            log.warning("spans are lost: their export failed, and so may the next ones", extra={"lost": lost.spans})
        if self._losing and not losing:
            log.warning("spans are exported again", extra={"lost": lost.spans})
        self._losing = losing


def _can_be_encoded(span: ReadableSpan) -> bool:
    try:
        encode_spans([span])
    except Exception as error:  # the encoder promises nothing
        # Its name may be what cannot be encoded.
        about = {"span": ascii(span.name), "error": type(error).__name__}
        log.error("a span is lost: it cannot be encoded", extra=about)
        return False
    return True
