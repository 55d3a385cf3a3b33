"""Wrapper of `start` and `connect`: the tasks that a client keeps running belong to no trace.

A connection has a task that reads, and it may be opened at any time, by a `commit` within a span too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context

from aiokafka_otel.telemetry import switch


async def start(
    wrapped: Callable[..., Awaitable[Any]], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Start in an empty trace context: a task keeps the context in which it was made for as long as it runs."""
    if switch.telemetry is None:
        return await wrapped(*args, **kwargs)
    ambient = otel.get_current()
    otel.attach(Context())
    try:
        return await wrapped(*args, **kwargs)
    finally:
        otel.attach(ambient)
