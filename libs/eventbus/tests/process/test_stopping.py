import threading
from pathlib import Path

import pytest
from eventbus import Database
from eventbus.database.tables import inbox, outbox
from eventbus.process import stopping
from eventbus.process.spans import FLUSH_TIMEOUT_S
from eventbus.process.stopping import bounded_stop

from libs.eventbus.tests.processes import TinyService
from libs.eventbus.tests.support import Kafka, OrderPlaced, count, encoded, eventually, unique

pytestmark = pytest.mark.long


def test_a_process_that_does_not_come_to_its_end_is_ended_within_ten_seconds_of_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end_after_s = stopping.END_AFTER_S
    monkeypatch.setattr(stopping, "END_AFTER_S", 0.01)
    ended = threading.Event()
    with bounded_stop(ended.set) as stop_asked:
        stop_asked()
        stop_asked()  # whoever presses Ctrl-C twice

        assert ended.wait(timeout=20)
    assert end_after_s + FLUSH_TIMEOUT_S < 10


@pytest.mark.parametrize("asked", [True, False])
def test_a_process_that_comes_to_its_end_is_left_alone(asked: bool) -> None:
    ended = threading.Event()
    with bounded_stop(ended.set) as stop_asked:
        if asked:
            stop_asked()

    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.join()

    assert not ended.is_set()


async def test_a_handler_that_does_not_return_is_left_at_a_stop_and_its_record_handled_once_after_the_next_start(
    kafka: Kafka, tmp_path: Path, database_url: str
) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    hold = tmp_path / "hold"
    hold.mkdir()
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, invoices, orders, database_url=database_url, hold=hold)
    database = Database(database_url)
    with tiny.run():
        await tiny.ready()
        await kafka.put(orders, encoded(OrderPlaced(order_id="o-1")))
        await eventually("the handler is at work", (hold / "begun").exists)
        exit_code = await tiny.terminate()  # the handler would never have returned
        logged = [line["message"] for line in tiny.logs]
    left = count(database, inbox)
    tiny.hold = None
    with tiny.run():
        await tiny.ready()
        await eventually("the order is handled", lambda: count(database, inbox) == 1)
        await eventually("the invoice is published", lambda: count(database, outbox) == 0)
    database.close()

    assert (exit_code, left) == (0, 0)
    assert "stopping with a record unfinished: it is handled after the next start" in logged
    assert logged[-1] == "ended with work unfinished: it is done after the next start"
    assert len(await kafka.records(invoices)) == 1
    assert await kafka.records(f"{tiny.service}.retry") == []
