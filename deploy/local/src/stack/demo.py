"""One order, from the HTTP request to the e-mail, seen as one trace."""

import contextlib
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import journey

from stack.errors import StackError
from stack.polling import pause, wait_until
from stack.runner import Stack
from stack.settings import REPOSITORY, Settings

ORDER = {
    "customer": {"email": "ada@example.com"},
    "currency": "EUR",
    "items": [{"sku": "BOOK-1", "quantity": 2, "unit_price": "19.90"}],
}
JOURNEY_SECONDS = 30.0
CHAIN = REPOSITORY / "journey.toml"


def run(stack: Stack) -> None:
    """Start everything, show the journey of one order, and stay until interrupted or until nothing is left running.

    Returns at once where everything was running already.
    """
    began = time.monotonic()
    stack.up()
    order = show_one_order(stack.settings)
    mail = find_mail(stack.settings.mail_folder, order["order_id"])
    print(f"  the e-mail  {mail}")
    print(f"  all logs    {stack.settings.logs}")
    print(f"\nOne order, one trace, {time.monotonic() - began:.1f} s after the start.")
    if not stack.exit_codes():
        print("It was running already: `make down` stops it.", flush=True)
        return
    print("Ctrl-C stops everything that this command started.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        stay(stack)


def show_one_order(settings: Settings) -> dict[str, Any]:
    """Place one order with the system on the ports of *settings*, in containers too, and draw its journey."""
    try:
        order = place_order(settings.orders_url)
    except OSError as error:
        raise StackError(f"no order can be placed at {settings.orders_url} ({error}): is the system up?") from error
    trace = wait_for_journey(settings.zipkin_url, order["trace_id"])
    print(f"\n{journey.draw(trace)}")
    print(f"\n  the page    {settings.orders_url}/journeys/{order['trace_id']}")
    print(f"  the trace   {order['trace_url']}")
    print(f"  the order   {settings.orders_url}/orders/{order['order_id']}")
    print(f"  draw again  uv run journey show {order['order_id']}", flush=True)
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
    """Wait until Zipkin has exactly the declared journey; StackError shows what it has instead."""
    try:
        return journey.wait_for(zipkin_url, trace_id, journey.read_chain(CHAIN), JOURNEY_SECONDS)
    except journey.JourneyDiffers as error:
        raise StackError(str(error)) from error


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
                print(f"{name} ended with exit code {code}: {stack.log(name)}", flush=True)
        pause()
