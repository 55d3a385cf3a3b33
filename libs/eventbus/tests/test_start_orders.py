"""Whatever is started first, broker or services, on a machine that knows no topic yet: who says ready reads all of it.

`START_ORDERS_TIMES=20 uv run pytest libs/eventbus/tests/test_start_orders.py` tries each order twenty times; otherwise
three orders are tried once.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path

import pytest
from eventbus import Database
from eventbus.database.tables import inbox
from eventbus.operator import lag
from stack import Settings, Stack

from libs.eventbus.tests.outbox.test_relay import store
from libs.eventbus.tests.processes import TinyService
from libs.eventbus.tests.support import count, eventually

pytestmark = pytest.mark.long

PARTS = ("broker", "shop", "billing", "notifier")
SHORT = [PARTS, ("billing", "broker", "notifier", "shop"), ("notifier", "billing", "shop", "broker")]
# service, the topic that it reads, the topic that it writes
FLOW = [("shop", "", "orders"), ("billing", "orders", "bills"), ("notifier", "bills", "mails")]
TIMES = int(os.environ.get("START_ORDERS_TIMES", "0"))
# Much less than the 30 s after which aiokafka looks for new partitions by itself.
SOON_S = 15


async def begun(service: TinyService) -> None:
    await eventually(f"{service.service} has begun", lambda: service.status, seconds=60)


@pytest.mark.parametrize("time", range(TIMES or 1))
@pytest.mark.parametrize("order", list(permutations(PARTS)) if TIMES else SHORT, ids="-".join)
async def test_in_every_order_of_starting_who_is_ready_reads_all_of_its_topics(
    order: tuple[str, ...], time: int, tmp_path: Path
) -> None:
    settings = Settings.isolated(tmp_path / "stack")
    services = {
        name: TinyService(
            tmp_path / f"{name}.db",
            settings.kafka,
            writes,
            reads,
            service=name,
            instance_id=name,
            emits="order.placed.v1",
        )
        for name, reads, writes in FLOW
    }
    databases = {name: Database(f"sqlite:///{service.database}") for name, service in services.items()}
    async with AsyncExitStack() as running:
        stack = running.enter_context(Stack(settings))
        for part in order:
            if part == "broker":
                starting = asyncio.create_task(asyncio.to_thread(stack.up, "kafka"))
            else:
                running.enter_context(services[part].run())
                await begun(services[part])
        await starting
        for service in services.values():
            await service.ready()
        positions = await lag.positions(settings.kafka, ["billing", "notifier"])
        store(databases["shop"], "orders", "o-1")
        last = databases["notifier"]
        await eventually("the order has come all the way", lambda: count(last, inbox) == 1, seconds=SOON_S)
        for database in databases.values():
            database.close()
        ended = [part for part, service in services.items() if service.process.poll() is not None]

    assert {(each.group, each.topic) for each in positions} >= {
        ("billing", "orders"),
        ("billing", "billing.retry"),
        ("notifier", "bills"),
        ("notifier", "notifier.retry"),
    }
    assert [each for each in positions if each.reader is None] == []
    assert ended == []
