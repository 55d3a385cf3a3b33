"""docs/operations.md: what it tells a person to look at is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import requests
from stack import Stack
from stack.services import database_url

from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import REPOSITORY

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
EVENTBUS = Path(sys.executable).with_name("eventbus")
# There only after the first failure.
AFTER_A_FAILURE = {"otelcol_exporter_enqueue_failed_spans"}


def section(title: str) -> str:
    return PAGE.partition(f"## {title}")[2].partition("\n## ")[0]


def eventbus(*arguments: str, **environment: str) -> str:
    """Run the operator's command and return what it printed."""
    done = subprocess.run(
        [EVENTBUS, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_collector_has_the_metrics_of_the_page(stack: Stack, shop: Shop) -> None:
    shop.expect_exact_journeys([shop.place(1)])
    metrics = requests.get(f"http://127.0.0.1:{stack.settings.collector_metrics_port}/metrics", timeout=10).text
    told = set(re.findall(r"otelcol_[a-z_]+", section("The Collector's queue is full")))

    assert len(told) >= 5
    assert told - AFTER_A_FAILURE <= set(re.findall(r"^otelcol_[a-z_]+", metrics, re.M))


def test_lag_is_shown_as_the_page_says(stack: Stack, shop: Shop) -> None:
    shop.expect_exact_journeys([shop.place(2)])
    heading = re.search(r"^GROUP .*$", section("Lag grows"), re.M)
    assert heading

    all_done = "billing: 0 behind, 1 reading\nnotifier: 0 behind, 1 reading\n"

    def shown() -> str:
        # Other tests have groups on this broker, too.
        return eventbus(
            "lag", "--group", "billing", "--group", "notifier", KAFKA_BOOTSTRAP_SERVERS=stack.settings.kafka
        )

    poll_until(lambda: shown().endswith(all_done), "offsets are committed")
    assert shown().splitlines()[0].split() == heading[0].split()


def test_the_outbox_is_shown_as_the_page_says(stack: Stack, shop: Shop) -> None:
    url = database_url(stack.settings, "orders")
    stack.stop("orders-worker")
    try:
        placed = shop.place(3)
        waiting = eventbus("outbox", DATABASE_URL=url)
    finally:
        stack.start("orders-worker")
    shop.expect_exact_journeys([placed])
    poll_until(lambda: eventbus("outbox", DATABASE_URL=url) == "0 waiting; 0 parked\n", "the outbox is empty")

    pattern = re.search(r"^\d+ (waiting, the first since )\S+(; 0 parked)$", section("Orders are refused"), re.M)
    assert pattern
    assert re.fullmatch(rf"1 {pattern[1]}\S+{pattern[2]}\n", waiting)


def test_every_setting_of_the_page_exists() -> None:
    told = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE)) - {"DATABASE_URL", "STACK_REPLICAS"}
    code = "".join(
        file.read_text() for folder in ("libs", "services") for file in (REPOSITORY / folder).rglob("src/**/*.py")
    )

    assert {"OUTBOX_MAX_ROWS", "MIN_FREE_DISK_MB", "KEEP_ORDERS_DAYS"} <= told
    assert [name for name in told if f" {name.lower()}: " not in code] == []
