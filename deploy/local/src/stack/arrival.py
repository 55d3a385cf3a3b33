"""Whether spans arrive: a system whose parts are all ready may still show nothing."""

import http.client
import secrets

import journey
import requests

from stack.errors import StackError
from stack.polling import wait_until
from stack.settings import Settings

ARRIVAL_SECONDS = 20.0


def check(settings: Settings) -> None:
    """Ask orders for an order that there is not, and wait until Zipkin has the span of it.

    Raises StackError that says where to look.
    """
    trace_id = secrets.token_hex(16)
    try:
        _ask(settings.orders_port, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
        wait_until("a span of orders", lambda: _objection(settings.zipkin_url, trace_id), ARRIVAL_SECONDS)
    except (StackError, OSError, http.client.HTTPException) as error:
        raise StackError(
            f"everything runs, and spans do not arrive in Zipkin ({error}). `uv run stack logs orders` says whether "
            "they are sent, `uv run stack logs collector` whether they are passed on; `make down` stops everything"
        ) from error


def _ask(port: int, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/orders/none", headers=headers)
        connection.getresponse().read()
    finally:
        connection.close()


def _objection(zipkin_url: str, trace_id: str) -> str | None:
    try:
        return None if journey.fetch(zipkin_url, trace_id) else "Zipkin does not have it"
    except requests.RequestException as error:
        return f"Zipkin: {error}"
