"""Wrapper of `start`: the tasks that a client keeps running belong to no trace."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context

from aiokafka_otel.telemetry import switch


async def start(
    wrapped: Callable[..., Awaitable[Any]], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Start the client in an empty trace context; a task keeps the context in which it was made for ever."""
    if switch.telemetry is None:
        return await wrapped(*args, **kwargs)
    ambient = otel.get_current()
    otel.attach(Context())
    try:
        return await wrapped(*args, **kwargs)
    finally:
        otel.attach(ambient)
