"""The floor: `worker.py billing` or `worker.py notifier`, a plain loop that commits after each record."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

ROLE = sys.argv[1]
TOPIC = {"billing": "orders", "notifier": "invoices"}[ROLE]
DONE = os.open(os.environ["DONE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


async def main() -> None:
    work = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    servers = os.environ["KAFKA"]
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=servers,
        group_id=os.environ["GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    try:
        async with producer, consumer:
            Path(os.environ["READY"]).touch()
            async for record in consumer:
                await handle(json.loads(record.value), record.key, producer)
                await consumer.commit()
    except asyncio.CancelledError:
        pass


async def handle(message: dict, key: bytes, producer: AIOKafkaProducer) -> None:
    if ROLE == "billing":
        invoice = {"order_id": message["order_id"], "customer": message["customer"], "total": "9.90"}
        await producer.send_and_wait("invoices", json.dumps(invoice).encode(), key=key)
    else:
        who = message["customer"]["email"].partition("@")[0]
        os.write(DONE, f"{who} {time.time_ns()}\n".encode())


asyncio.run(main())
