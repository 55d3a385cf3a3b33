"""What `OTEL_PYTHON_DISTRO=eventbus` selects: OpenTelemetry's own distro, with our exporter where `otlp` is named."""

import os

from opentelemetry.distro import OpenTelemetryDistro
from opentelemetry.environment_variables import OTEL_TRACES_EXPORTER
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL

COUNTED = "otlp_counted"


class Distro(OpenTelemetryDistro):
    """`OTEL_TRACES_EXPORTER=otlp` over `http/protobuf` is `otlp_counted`: whoever sets it loses no promise by it."""

    def _configure(self, **settings: object) -> None:
        super()._configure(**settings)  # type: ignore[no-untyped-call]  # it has no types
        protocol = os.environ.get(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL) or os.environ[OTEL_EXPORTER_OTLP_PROTOCOL]
        if os.environ[OTEL_TRACES_EXPORTER] == "otlp" and protocol == "http/protobuf":
            os.environ[OTEL_TRACES_EXPORTER] = COUNTED
