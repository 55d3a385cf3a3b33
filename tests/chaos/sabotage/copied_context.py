"""A message that is set aside keeps the trace context with which it came."""

from aiokafka_otel import producing


def apply() -> None:
    right = producing.headers_with

    def headers_with(context: object, headers: list | None) -> list:
        copied = any(name == "traceparent" for name, _ in headers or ())
        return list(headers) if copied else right(context, headers)

    producing.headers_with = headers_with
