"""Whether spans arrive: a system whose parts are all ready may still show nothing."""

import http.client
import re
import secrets
import time
import urllib.request

import click
import journey
import requests

from stack.console import StackError
from stack.polling import pause
from stack.settings import Settings

ARRIVAL_SECONDS = 20.0
SAYING_SECONDS = 5.0
# Of the exporter that the probe's span goes through: it has no links.
_METRIC = re.compile(r'^otelcol_exporter_(\w+)\{[^}]*exporter="zipkin"[^}]*\} (\S+)$', re.MULTILINE)
_GONE = ("sent_spans", "send_failed_spans")


def check(settings: Settings) -> None:
    """Ask orders for an order that there is not, and wait until Zipkin has the span of it.

    Spans that an earlier run left in the Collector's queue come first: as long as those move it is waited for.
    Raises StackError that says where to look.
    """
    trace_id = secrets.token_hex(16)
    try:
        _ask(settings.orders_port, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
        _wait(settings, trace_id)
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


def _wait(settings: Settings, trace_id: str) -> None:
    waiting, gone = _queue(settings.collector_metrics_port)
    # Only what waits now is before the probe's span: spans that come later do not prolong the wait.
    last_before_it = gone + waiting
    now = time.monotonic()
    deadline, say_at = now + ARRIVAL_SECONDS, now + SAYING_SECONDS
    while (objection := _objection(settings.zipkin_url, trace_id)) is not None:
        waiting, gone_now = _queue(settings.collector_metrics_port)
        now = time.monotonic()
        if gone < gone_now and gone < last_before_it:
            deadline = now + ARRIVAL_SECONDS
        gone = max(gone, gone_now)
        if now > deadline:
            still = f"; {waiting} spans wait in the Collector's queue" if waiting else ""
            raise StackError(f"a span of orders: nothing moved for {ARRIVAL_SECONDS:.0f} s: {objection}{still}")
        if waiting and now > say_at:
            click.echo(f"{waiting} spans wait in the Collector's queue for Zipkin")
            say_at = now + SAYING_SECONDS
        pause()


def _queue(metrics_port: int) -> tuple[int, int]:
    """Return how many spans wait for Zipkin and how many no longer do; 0 if the Collector does not say."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as answer:
            found = {name: int(float(value)) for name, value in _METRIC.findall(answer.read().decode())}
    except (OSError, http.client.HTTPException):
        return 0, 0
    return found.get("queue_size", 0), sum(found.get(name, 0) for name in _GONE)


def _objection(zipkin_url: str, trace_id: str) -> str | None:
    try:
        return None if journey.fetch(zipkin_url, trace_id) else "Zipkin does not have it"
    except requests.RequestException as error:
        return f"Zipkin: {error}"
