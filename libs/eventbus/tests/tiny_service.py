"""A whole service in one file, run by the tests as a process of its own: each order is answered with an invoice.

An order first fails as often as it asks for, and one that asks for the death of the process gets it. Without ORDERS it
only relays its outbox.
"""

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import ClassVar

from eventbus import Event, Transient, WorkerSettings, read_settings, run, within_transaction
from eventbus.process.watchdog import end_process
from pydantic import Field
from sqlalchemy import Connection


class Config(WorkerSettings):
    service: str
    invoices: str = Field(description="the topic of the invoices")
    orders: str = Field(default="", description="the topic of the orders")
    emits: str = Field(default="invoice.issued.v1", description="the type of the invoices")
    hold: Path | None = Field(default=None, description="a folder: a handler says there that it has begun, and hangs")


CONFIG = read_settings(Config)


class OrderPlaced(Event):
    topic: ClassVar[str] = CONFIG.orders
    type: ClassVar[str] = "order.placed.v1"
    key_field: ClassVar[str] = "order_id"

    order_id: str
    number: int = 0
    failures: int = 0


class InvoiceIssued(Event):
    topic: ClassVar[str] = CONFIG.invoices
    type: ClassVar[str] = CONFIG.emits
    key_field: ClassVar[str] = "order_id"

    order_id: str
    number: int = 0


failed: Counter[tuple[str, int]] = Counter()


def die_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = {
    "dies by signal": die_by_signal,
    "dies by watchdog": lambda: end_process("a handler has not returned"),
    "dies by exit": lambda: os._exit(3),
}


def issue_invoice(order: OrderPlaced, connection: Connection) -> InvoiceIssued:
    if CONFIG.hold is not None:
        (CONFIG.hold / "begun").touch()
        threading.Event().wait()
    if death := DEATHS.get(order.order_id):
        death()
    which = (order.order_id, order.number)
    if failed[which] < order.failures:
        failed[which] += 1
        raise Transient("not now")
    return InvoiceIssued(order_id=order.order_id, number=order.number)


def main() -> None:
    database = CONFIG.open_database()
    subscriptions = [within_transaction(OrderPlaced, issue_invoice, lambda connection: connection)]
    run(
        CONFIG.service,
        CONFIG,
        database,
        subscriptions=subscriptions if CONFIG.orders else [],
        publishes=[InvoiceIssued],
    )


if __name__ == "__main__":
    main()
