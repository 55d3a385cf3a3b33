"""A message that is set aside keeps the trace context with which it came."""

from aiokafka_otel.sending import Sending


def apply() -> None:
    right = Sending.headers

    def headers(sending: Sending) -> object:
        given = sending._given or ()
        return given if any(name == "traceparent" for name, _ in given) else right(sending)

    Sending.headers = headers
