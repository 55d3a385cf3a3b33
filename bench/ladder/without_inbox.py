"""Billing with a database and an outbox, and no inbox: a repeated order would be billed twice.

`without_inbox.py` bills what was fetched in one transaction, then commits its offsets. `without_inbox.py relay`
publishes the invoices.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from aiokafka import AIOKafkaConsumer
from eventbus import Database, Event, Outbox, WorkerSettings, read_settings, run
from sqlalchemy import Column, MetaData, String, Table, insert

metadata = MetaData()
invoices = Table("invoices", metadata, Column("order_id", String(64), primary_key=True), Column("total", String(20)))


class OrderPlaced(Event):
    topic: ClassVar[str] = "orders"
    type: ClassVar[str] = "order.placed.v1"
    key_field: ClassVar[str] = "order_id"

    order_id: str
    customer: dict[str, str]


class InvoiceIssued(OrderPlaced):
    topic: ClassVar[str] = "invoices"
    type: ClassVar[str] = "invoice.issued.v1"

    total: str


def bill(database: Database, outbox: Outbox, orders: Iterable[OrderPlaced]) -> None:
    with database.write() as connection:
        for order in orders:
            invoice = InvoiceIssued(order_id=order.order_id, customer=order.customer, total="9.90")
            connection.execute(insert(invoices).values(order_id=invoice.order_id, total=invoice.total))
            outbox.add(connection, invoice)


def say_ready() -> None:
    Path(os.environ["READY"]).touch()


async def work(config: WorkerSettings, database: Database) -> None:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    consumer = AIOKafkaConsumer(
        OrderPlaced.topic,
        bootstrap_servers=config.kafka_bootstrap_servers,
        group_id=os.environ["GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    outbox = Outbox("billing")
    async with consumer:
        say_ready()
        while True:
            fetched = await consumer.getmany(timeout_ms=60_000)
            values = [record.value for records in fetched.values() for record in records]
            orders = [OrderPlaced.model_validate_json(value or b"") for value in values]
            await asyncio.to_thread(bill, database, outbox, orders)
            await consumer.commit()


def main() -> None:
    config = read_settings(WorkerSettings)
    database = Database.with_tables(config.database_url, metadata)
    if sys.argv[1:] == ["relay"]:
        run("billing", config, database, publishes=[InvoiceIssued])
    else:
        try:
            asyncio.run(work(config, database))
        except asyncio.CancelledError:
            database.close()


if __name__ == "__main__":
    main()
