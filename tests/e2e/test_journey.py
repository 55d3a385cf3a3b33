"""The command `journey` and a running system: what its users see."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import journey
import pytest

from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import System
from tests.order_journey import ORDER_JOURNEY

pytestmark = pytest.mark.long

JOURNEY = Path(sys.executable).with_name("journey")


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run([JOURNEY, *arguments], env=environment, capture_output=True, text=True, timeout=60)


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[Path]:
    """Follow what comes until the block ends, into a file; Ctrl-C then ends the command with 0."""
    said, errors = folder / "said", folder / "errors"
    with said.open("w") as output, errors.open("w") as trouble:
        process = subprocess.Popen([JOURNEY, "watch", *arguments], stdout=output, stderr=trouble)
        try:
            poll_until(lambda: "following" in errors.read_text(), "it has begun")
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=60)
    assert code == 0, errors.read_text()


def test_an_order_is_shown_by_its_id_as_by_its_trace(shop: Shop) -> None:
    order = shop.place_within_own_trace(830)
    shop.expect_exact_journeys([order])
    by_order, by_trace = (command("show", id, "--zipkin", shop.zipkin_url) for id in (order.order_id, order.trace_id))
    trace = journey.fetch(shop.zipkin_url, order.trace_id)

    assert trace and by_trace.stdout == journey.draw(trace) + "\n"
    assert by_order.stdout == by_trace.stdout
    assert (by_order.returncode, by_order.stderr) == (0, "")


def test_what_the_collector_keeps_of_a_trace_is_read_like_zipkin(shop: Shop, system: System, tmp_path: Path) -> None:
    order = shop.place_within_own_trace(831)
    shop.expect_exact_journeys([order])
    poll_until(lambda: len(re.findall(order.trace_id, system.spans())) >= 6, "the audit file has the trace")
    file = tmp_path / "traces.jsonl"
    file.write_text("\n".join(line for line in system.spans().splitlines() if order.trace_id in line))
    shown = command("show", order.order_id, "--json", "--otlp", str(file))
    judged = command("doctor", order.trace_id, "--otlp", str(file))

    spans = json.loads(shown.stdout)["spans"]
    assert [(span["service"], span["name"]) for span in spans] == [(row.service, row.name) for row in ORDER_JOURNEY]
    assert (judged.returncode, shown.stderr, judged.stderr) == (0, "", "")


def test_new_orders_are_followed_and_shown_once_each(shop: Shop, tmp_path: Path) -> None:
    before = shop.place_within_own_trace(832)
    shop.expect_exact_journeys([before])
    with watching(tmp_path, "--zipkin", shop.zipkin_url, "--json") as said:
        orders = shop.place_all(range(833, 836))
        shop.expect_exact_journeys(orders)
        poll_until(lambda: len(said.read_text().splitlines()) >= 3, "the orders are shown")

    shown = [json.loads(line) for line in said.read_text().splitlines()]
    assert {trace["trace_id"]: len(trace["spans"]) for trace in shown} == {order.trace_id: 6 for order in orders}
    assert len(shown) == 3


def test_an_order_that_goes_on_later_is_shown_again(shop: Shop, system: System, tmp_path: Path) -> None:
    system.stop("billing")
    try:
        with watching(tmp_path, "--zipkin", shop.zipkin_url, "--service", "orders") as said:
            order = shop.place_within_own_trace(837)
            poll_until(lambda: "2 spans" in said.read_text(), "what there is of it is shown")
            system.start("billing")
            poll_until(lambda: "6 spans" in said.read_text(), "the whole of it is shown")
    finally:
        system.start("billing")

    assert said.read_text().count(f"trace {order.trace_id}\n") == 2
    assert said.read_text().count("more has come:\n") == 1


def test_a_zipkin_that_goes_away_is_told_once_and_waited_for(shop: Shop, system: System, tmp_path: Path) -> None:
    with watching(tmp_path, "--zipkin", shop.zipkin_url) as said:
        system.stop("zipkin")
        errors = tmp_path / "errors"
        poll_until(lambda: "does not answer" in errors.read_text(), "it is told")
        system.start("zipkin")
        order = shop.place_within_own_trace(838)
        poll_until(lambda: order.trace_id in said.read_text(), "the order is shown")

    assert errors.read_text().count("does not answer") == 1
