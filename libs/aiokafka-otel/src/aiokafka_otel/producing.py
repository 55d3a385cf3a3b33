"""Wrapper of the producer: whatever tracer and propagator do, the message is sent."""

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiokafka_otel.sending import Message, Sending
from aiokafka_otel.telemetry import Telemetry, switch

Wrapped = Callable[..., Awaitable["Future[Any]"]]


def send(wrapped: Wrapped, producer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable["Future[Any]"]:
    """Send the message with the context of a new span in place of any that its headers hold.

    `send_and_wait` comes here too: aiokafka calls `send` for it.
    """
    telemetry = switch.recording()
    if telemetry is None:
        return wrapped(*args, **kwargs)
    return _send(telemetry, wrapped, producer, *args, **kwargs)


async def _send(
    telemetry: Telemetry,
    wrapped: Wrapped,
    producer: Any,
    topic: str,
    value: Any = None,
    key: Any = None,
    partition: int | None = None,
    timestamp_ms: int | None = None,
    headers: Any = None,
) -> "Future[Any]":
    if not isinstance(headers, (list, tuple)) and isinstance(headers, Iterable):
        headers = list(headers)  # it may be read once only
    sending = None
    try:
        sending = Sending(telemetry, producer, Message(topic, value, key, partition, headers))
        headers = sending.headers()
    except Exception:  # a tracer and a propagator may be anyone's
        telemetry.complaints.make("A message is sent without its span or its context")
    try:
        future = await wrapped(topic, value, key, partition, timestamp_ms, headers)
    except BaseException as error:
        if sending is not None:
            sending.failed(error)
        raise
    if sending is not None:
        # aiokafka resolves the future when the broker has answered, before `send_and_wait` returns.
        future.add_done_callback(sending.settled)
    return future
