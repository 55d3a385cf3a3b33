"""The exporter `otlp_counted`, with our distro `otlp` too: OTLP over HTTP, which knows what it has lost."""

import logging
from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http._common import _resolve_endpoint
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from span_export import after_export, lost
from span_export.encoding import encode
from span_export.http import PlainHTTP, is_plain

log = logging.getLogger(__name__)


class Exporter(OTLPSpanExporter):
    """Export spans as the SDK's exporter does, with its settings; a span that cannot be encoded costs no other one.

    Every span that is not exported is counted in `lost`. The SDK drops it: nobody tries it again.
    """

    _losing = False

    def __init__(self, endpoint: str | None = None, **settings: Any) -> None:
        endpoint = endpoint or _resolve_endpoint(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, "v1/traces")
        # The SDK's transport, which is `requests`, costs three times as much.
        settings.setdefault(
            "_transport", PlainHTTP(endpoint) if is_plain(endpoint) and "session" not in settings else None
        )
        super().__init__(endpoint, **settings)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Return SUCCESS if the Collector has all *spans* that can be encoded."""
        request, failed = encode(spans)
        for span, error in failed:
            # Its name may be what cannot be encoded.
            about = {"span": ascii(span.name), "error": type(error).__name__}
            log.error("a span is lost: it cannot be encoded", extra=about)
        exported = not request or (not self._shutdown and self._client.export(request).success)
        lost.spans += len(failed) if exported else len(spans)
        self._say(not exported)
        for tell in after_export:
            tell(len(spans))
        return SpanExportResult.SUCCESS if exported else SpanExportResult.FAILURE

    def _say(self, losing: bool) -> None:
        if losing and not self._losing:
            log.warning("spans are lost: their export failed, and so may the next ones", extra={"lost": lost.spans})
        if self._losing and not losing:
            log.warning("spans are exported again", extra={"lost": lost.spans})
        self._losing = losing
