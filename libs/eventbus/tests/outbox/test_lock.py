import asyncio
from pathlib import Path
from typing import Any

import pytest
from eventbus import Database
from eventbus.outbox import lock
from eventbus.outbox.lock import only_one
from eventbus.process.patience import Stopped

from libs.eventbus.tests.support import eventually, make_patience, status_of


async def test_one_holds_the_lock_while_others_stand_by_and_take_it_one_after_the_other(
    database: Database, tmp_path: Path
) -> None:
    inside: list[int] = []
    order: list[int] = []
    most = 0
    patience = make_patience(tmp_path, "relay")

    async def relay(number: int) -> None:
        nonlocal most
        async with only_one(database, patience):
            inside.append(number)
            order.append(number)
            most = max(most, len(inside))
            for _ in range(5):
                await asyncio.sleep(0)  # the others have their chance
            inside.remove(number)

    await asyncio.gather(*(relay(number) for number in range(3)))

    assert most == 1
    assert sorted(order) == [0, 1, 2]


async def test_standing_by_is_said_once_is_being_ready_and_ends_at_once_at_a_stop(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_every_s = lock.STANDBY_POLL_S
    caplog.set_level("INFO", "eventbus.outbox.lock")
    patience = make_patience(tmp_path, "relay")
    pauses: list[float] = []
    pause = patience.pause

    async def counted(seconds: float) -> None:
        pauses.append(seconds)
        await pause(0 if len(pauses) < 3 else 3600)

    monkeypatch.setattr(patience, "pause", counted)

    async def stand_by() -> None:
        async with only_one(database, patience):
            pytest.fail("the lock is held")

    async with only_one(database, make_patience(tmp_path)):
        task = asyncio.create_task(stand_by())
        await eventually("the standby is ready", lambda: status_of(patience)["ready"])
        await eventually("the standby looks again", lambda: len(pauses) >= 3)
        patience.stop.set()
        await eventually("the standby has ended", task.done)

    assert isinstance(task.exception(), Stopped)
    assert pauses == [asked_every_s] * 3
    assert asked_every_s < 1
    assert caplog.messages == ["relaying", "standing by: another relay has the outbox"]


async def test_an_exception_gives_the_lock_back(database: Database, tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        async with only_one(database, make_patience(tmp_path)):
            raise LookupError
    async with only_one(database, make_patience(tmp_path)):
        taken = True

    assert taken


async def test_outboxes_of_several_services_on_one_server_have_a_relay_each(
    on_postgresql: Database, postgres_server: Any, tmp_path: Path
) -> None:
    another = Database(postgres_server.new_database())
    another.upgrade()
    async with only_one(on_postgresql, make_patience(tmp_path)), asyncio.timeout(5):
        async with only_one(another, make_patience(tmp_path)):
            both_held = True
    another.close()

    assert both_held
