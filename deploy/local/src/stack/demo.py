"""One order, from the HTTP request to the e-mail, seen as one trace."""

import contextlib
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import click
import journey

from stack.console import StackError
from stack.polling import pause, wait_until
from stack.runner import Stack
from stack.settings import REPOSITORY, Settings

ORDER = {
    "customer": {"email": "ada@example.com"},
    "currency": "EUR",
    "items": [{"sku": "BOOK-1", "quantity": 2, "unit_price": "19.90"}],
}
# The table that the journey is compared with.
CHAIN = REPOSITORY / "journey.toml"
JOURNEY_SECONDS = 30.0
# A trace that has spans too many and does not change for so long will not become the declared one.
SETTLED_SECONDS = 5.0


class NotAsDeclared(StackError):
    """An order was placed, and its trace is not the declared journey."""

    order: dict[str, Any]

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"{difference}\n\nThe declared journey is the table in {CHAIN.name}: "
            "if the services are as you want them, change the table."
        )


def run(stack: Stack) -> None:
    """Start everything, show the journey of one order, and stay until interrupted or until nothing is left running.

    Returns at once if everything was running already. A journey that is not as declared is only a warning.
    """
    began = time.monotonic()
    stack.up()
    try:
        order = show_one_order(stack.settings)
    except NotAsDeclared as warning:
        warning.show()
        order = warning.order
    mail = find_mail(stack.settings.mail_folder, order["order_id"])
    click.echo(f"  the e-mail  {mail}")
    click.echo(f"  all logs    {stack.settings.logs}")
    click.echo(f"\nOne order, one trace, {time.monotonic() - began:.1f} s after the start.")
    if not stack.exit_codes():
        click.echo("It was running already: `make down` stops it.")
        return
    click.echo("Ctrl-C stops everything that this command started.")
    with contextlib.suppress(KeyboardInterrupt):
        stay(stack)


def show_one_order(settings: Settings) -> dict[str, Any]:
    """Place one order with the system on the ports of *settings*, in containers too, and draw its journey.

    Raises NotAsDeclared, after the links, if the journey is another than the declared one.
    """
    try:
        order = place_order(settings.orders_url)
    except OSError as error:
        raise StackError(f"no order can be placed at {settings.orders_url} ({error}): is the system up?") from error
    try:
        click.echo(f"\n{journey.draw(wait_for_journey(settings.zipkin_url, order['trace_id']))}")
    except NotAsDeclared as difference:
        difference.order = order
        raise
    finally:
        click.echo(f"\n  the page    {settings.orders_url}/journeys/{order['trace_id']}")
        click.echo(f"  the trace   {order['trace_url']}")
        click.echo(f"  the order   {settings.orders_url}/orders/{order['order_id']}")
        click.echo(f"  draw again  uv run journey show {order['order_id']}")
    return order


def place_order(orders_url: str) -> dict[str, Any]:
    """Place the order as any client would."""
    request = urllib.request.Request(
        f"{orders_url}/orders", json.dumps(ORDER).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def wait_for_journey(zipkin_url: str, trace_id: str) -> journey.Trace:
    """Wait until Zipkin has exactly the declared journey.

    Raises NotAsDeclared, with what Zipkin has instead, after 30 s; sooner if a trace with spans too many stands still.
    """
    chain = journey.read_chain(CHAIN)
    deadline, last = time.monotonic() + JOURNEY_SECONDS, None
    while True:
        try:
            return journey.wait_for(zipkin_url, trace_id, chain, SETTLED_SECONDS)
        except journey.JourneyDiffers as differs:
            too_many = differs.trace and len(differs.trace.spans) > len(chain)
            if time.monotonic() >= deadline or (too_many and differs.trace == last):
                raise NotAsDeclared(str(differs)) from differs
            last = differs.trace


def find_mail(folder: Path, order_id: str) -> Path:
    """Wait for the e-mail about an order and return its file."""
    found: list[Path] = []

    def objection() -> str | None:
        found[:] = [file for file in (folder / "new").iterdir() if order_id.encode() in file.read_bytes()]
        return None if found else f"no file in {folder} has it"

    wait_until(f"the e-mail about order {order_id}", objection, timeout=10)
    return found[0]


def stay(stack: Stack) -> None:
    """Wait until every part that this stack started has ended, telling of each one that does."""
    told: dict[str, int] = {}
    while told.keys() < stack.exit_codes().keys():
        for name, code in stack.exit_codes().items():
            if code is not None and name not in told:
                told[name] = code
                click.echo(f"{name} ended with exit code {code}: {stack.log(name)}")
        pause()
