"""Nothing grows forever: what each service's worker removes, and what it keeps."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from eventbus import Database, Schema
from eventbus.database import tables
from sqlalchemy import insert, select
from stack.catalogue import services

from tests.e2e.polling import poll_until

pytestmark = pytest.mark.long

SCHEMAS: dict[str, Schema] = {each.name: importlib.import_module(f"{each.name}.store").SCHEMA for each in services()}


class Kept(NamedTuple):
    """A service's table with rows of certain ages (in days), and those ages whose columns are *left* in the end."""

    service: str
    table: str
    row: Callable[[str, datetime], dict[str, Any]]
    ages: list[int]
    left: dict[str, list[int]]


def an_order(name: str, at: datetime) -> dict[str, Any]:
    return {"order_id": name, "placed_at": at, "content": "{}", "fingerprint": "f", "idempotency_key": name}


def an_invoice(name: str, at: datetime) -> dict[str, Any]:
    return {"number": name, "order_id": name, "issued_at": at, "currency": "EUR", "total": "1.00"}


def a_mail(name: str, at: datetime) -> dict[str, Any]:
    return {"message_id": name, "order_id": name, "sent_at": at}


def a_message(name: str, at: datetime) -> dict[str, Any]:
    return {"consumer": "c", "event_id": name, "handled_at": at}


def a_delivery(name: str, at: datetime) -> dict[str, Any]:
    return {"consumer": "c", "record": name, "deliveries": 1, "since": at}


def who_waits(name: str, at: datetime) -> dict[str, Any]:
    return {"consumer": "c", "key": "k", "message": name, "since": at}


KEPT = [
    Kept("orders", "orders", an_order, [0, 6, 8, 399, 401], {"order_id": [0, 6, 8, 399], "idempotency_key": [0, 6]}),
    Kept("billing", "inbox", a_message, [0, 46, 48], {"event_id": [0, 46]}),
    Kept("billing", "unfinished", a_delivery, [0, 7, 9], {"record": [0, 7]}),
    Kept("billing", "waiting", who_waits, [0, 7, 9], {"message": [0, 7]}),
    Kept("billing", "invoices", an_invoice, [0, 100_000], {"number": [0, 100_000]}),
    Kept("notifier", "inbox", a_message, [0, 46, 48], {"event_id": [0, 46]}),
    Kept("notifier", "mails", a_mail, [0, 89, 91], {"message_id": [0, 89]}),
]
# The relay empties the outbox; the counter of invoices is one row.
BOUNDED_OTHERWISE = {"outbox", "counters"}


def test_each_table_is_known_here() -> None:
    all_tables = {
        name for each in (*(schema.metadata for schema in SCHEMAS.values()), tables.metadata) for name in each.tables
    }

    assert all_tables == {kept.table for kept in KEPT} | BOUNDED_OTHERWISE


@pytest.mark.parametrize("service", SCHEMAS)
def test_a_worker_removes_what_nobody_will_ask_for_and_nothing_else(
    service: str, broker: str, database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    database.upgrade(SCHEMAS[service])
    kept = [each for each in KEPT if each.service == service]
    known = SCHEMAS[service].metadata.tables | tables.metadata.tables
    now = datetime.now(UTC)
    with database.write() as connection:
        for each in kept:
            rows = [each.row(f"age-{age}", now - timedelta(days=age)) for age in each.ages]
            connection.execute(insert(known[each.table]), rows)
    columns = {known[each.table].c[name]: ages for each in kept for name, ages in each.left.items()}

    def left() -> dict[str, set[str]]:
        with database.read() as connection:
            return {str(each): set(connection.scalars(select(each).where(each.is_not(None)))) for each in columns}

    expected = {str(column): {f"age-{age}" for age in ages} for column, ages in columns.items()}
    with worker(service, broker, database_url, tmp_path) as log:
        poll_until(lambda: '"ready"' in log.read_text(), "the worker works")
        poll_until(lambda: left() == expected, "housekeeping is done")
    after = left()
    database.close()

    assert after == expected


@contextmanager
def worker(service: str, broker: str, database_url: str, folder: Path) -> Iterator[Path]:
    """Run a service's worker, and at the end stop it in order; yields its log."""
    environment = {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "STATUS_FILE": f"{folder}/status.json",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": "1025",
        "MAIL_FROM": "billing@shop.example",
    }
    log = folder / "worker.log"
    with log.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-m", service], env={**os.environ, **environment}, stderr=stderr)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert process.returncode == 0, log.read_text()
