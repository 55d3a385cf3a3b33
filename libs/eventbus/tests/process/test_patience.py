import asyncio
from itertools import islice
from pathlib import Path

import pytest
from eventbus.process.patience import Patience, Stopped, backoff

from libs.eventbus.tests.support import eventually, make_patience, status_of


class Flaky:
    """Fail so many times, then succeed; note the readiness that each try finds."""

    def __init__(self, patience: Patience, *failures: Exception) -> None:
        self._patience = patience
        self._failures = list(failures)
        self.seen: list[str] = []

    async def __call__(self) -> str:
        self.seen.append(status_of(self._patience)["reason"])
        if self._failures:
            raise self._failures.pop(0)
        return "done"


async def test_what_fails_is_tried_again_until_it_is_done_and_is_not_ready_meanwhile(patience: Patience) -> None:
    action = Flaky(patience, ConnectionRefusedError(), TimeoutError())
    result = await patience.until_done("database", action, retry_on=(OSError,))

    assert result == "done"
    assert action.seen == ["", "database: ConnectionRefusedError, trying again", "database: TimeoutError, trying again"]
    assert status_of(patience) == {"ready": True, "reason": ""}


async def test_what_is_not_to_be_retried_is_raised_at_once(patience: Patience) -> None:
    action = Flaky(patience, LookupError())

    with pytest.raises(LookupError):
        await patience.until_done("database", action, retry_on=(OSError,))
    assert len(action.seen) == 1


async def test_a_stop_ends_the_tries_at_once(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.process.patience.backoff", lambda: iter([0, 0, 0, 3600]))
    action = Flaky(patience, *(OSError() for _ in range(100)))
    trying = asyncio.create_task(patience.until_done("database", action, retry_on=(OSError,)))
    await eventually("the pauses have become long", lambda: len(action.seen) == 4)
    patience.stop.set()
    await eventually("the tries have ended", trying.done)

    assert isinstance(trying.exception(), Stopped)
    assert len(action.seen) == 4


async def test_pauses_double_up_to_five_seconds_with_jitter() -> None:
    pauses = list(islice(backoff(), 10))

    for pause, middle in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5], strict=True):
        assert 0.8 * middle <= pause <= 1.2 * middle
    assert list(islice(backoff(), 10)) != pauses


async def test_what_worked_for_long_is_tried_again_soon(
    patience: Patience, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventbus.process.patience.WORKED_S", 0)
    action = Flaky(patience, *(OSError() for _ in range(6)))
    await patience.until_done("relay", action, retry_on=(OSError,))

    pauses = [vars(record)["retry_in_s"] for record in caplog.records if "retry_in_s" in vars(record)]
    assert len(pauses) == 6
    assert max(pauses) < 0.15  # each the first of a new back-off


async def test_an_acknowledgement_that_keeps_everybody_waiting_is_told(tmp_path: Path) -> None:
    patience = make_patience(tmp_path, grace=0.05)
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(patience.acknowledged("relay", future))
    await eventually("the relay is not ready", lambda: not status_of(patience)["ready"])
    reason = status_of(patience)["reason"]
    future.set_result(7)

    assert await waiting == 7
    assert reason == "relay: the broker does not acknowledge"
    assert status_of(patience)["ready"]


async def test_a_refusal_is_no_acknowledgement(tmp_path: Path) -> None:
    patience = make_patience(tmp_path)
    patience.status.trouble("relay", "the broker refuses")
    refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    refused.set_exception(OSError())

    with pytest.raises(OSError):
        await patience.acknowledged("relay", refused)
    assert not status_of(patience)["ready"]


async def test_after_a_stop_an_acknowledgement_is_waited_for_within_its_grace(tmp_path: Path) -> None:
    patience = make_patience(tmp_path, grace=0.5)
    patience.stop.set()
    late: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, late.set_result, 7)

    assert await patience.acknowledged("relay", late) == 7
    with pytest.raises(Stopped):
        await patience.acknowledged("relay", never)


async def test_what_nothing_can_interrupt_has_its_grace_from_the_stop_on(tmp_path: Path) -> None:
    patience = make_patience(tmp_path, grace=0.5)
    loop = asyncio.get_running_loop()
    late: asyncio.Future[int] = loop.create_future()
    never: asyncio.Future[int] = loop.create_future()
    waiting = [asyncio.create_task(patience.finished("worker", each)) for each in (late, never)]
    await asyncio.sleep(0.6)  # longer than the grace: it has not begun
    unfinished = [each.done() for each in waiting]
    patience.stop.set()
    loop.call_later(0.1, late.set_result, 7)

    assert await waiting[0] == 7
    with pytest.raises(Stopped):
        await waiting[1]
    assert unfinished == [False, False]


async def test_what_is_bounded_ends_by_its_time_by_a_stop_or_by_itself(patience: Patience) -> None:
    async with patience.bounded(5):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with patience.bounded(0.01):
            await asyncio.Event().wait()
    with pytest.raises(LookupError):
        async with patience.bounded(5):
            raise LookupError
    asyncio.get_running_loop().call_later(0.01, patience.stop.set)
    with pytest.raises(Stopped):
        async with patience.bounded(60):
            await asyncio.Event().wait()
    with pytest.raises(Stopped):
        async with patience.bounded(60):
            await asyncio.Event().wait()


async def test_a_cancelled_task_is_cancelled_also_inside_of_a_bound(patience: Patience) -> None:
    async def wait() -> None:
        async with patience.bounded(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
