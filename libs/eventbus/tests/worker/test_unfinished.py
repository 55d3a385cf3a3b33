"""A message that kills its worker is found out, and no other one is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from eventbus import Database, Poison, Transient, Unavailable
from eventbus.database.tables import inbox, unfinished
from eventbus.worker.unfinished import FEWEST_DEATHS, SUSPECTS, Unfinished, WorkerKilled
from sqlalchemy.exc import OperationalError

from libs.eventbus.tests.processes import TinyService
from libs.eventbus.tests.support import Kafka, OrderPlaced, count, encoded, eventually, header, unique

TRIES = 4


@dataclass(frozen=True)
class Record:
    """A record, as far as its place goes."""

    offset: int
    topic: str = "orders"
    partition: int = 0
    timestamp: int = 1_790_000_000_000


RECORD = Record(17)


def process(database: Database, *, group: str = "billing", tries: int = TRIES) -> Unfinished:
    """Return what a process that has just started knows."""
    return Unfinished(database, group, tries=tries)


def die(process: Unfinished, record: Record = RECORD) -> None:
    """Deliver a record to a process that does not survive it."""
    with suppress(SystemExit), process.turn([record]):
        raise SystemExit


def test_a_record_that_has_killed_a_process_at_each_of_its_tries_is_refused(database: Database) -> None:
    for _ in range(TRIES):
        die(process(database))
    for _ in range(2):  # the second one is after a crash before its offset was committed
        with pytest.raises(WorkerKilled, match="4 deliveries in a row ended with the process") as refused:
            die(process(database))

        assert refused.value.deaths == TRIES


def test_a_refused_record_stays_refused_until_it_is_set_aside_whatever_comes_between(database: Database) -> None:
    for _ in range(TRIES):
        die(process(database))
    worker = process(database)
    for _ in range(2):  # the second one is after a rebalance before its offset was committed
        with pytest.raises(WorkerKilled):
            die(worker)
    worker.strike_off()  # as a stop does

    with pytest.raises(WorkerKilled):
        die(process(database))


def test_the_record_that_has_the_place_of_another_in_a_topic_made_again_is_not_blamed_for_it(
    database: Database,
) -> None:
    for _ in range(TRIES + 1):
        with suppress(WorkerKilled):
            die(process(database))

    with process(database).turn([Record(RECORD.offset, timestamp=RECORD.timestamp + 1)]):
        pass


def test_one_death_by_accident_is_no_proof_however_few_tries_there_are(database: Database) -> None:
    for _ in range(FEWEST_DEATHS):
        die(process(database, tries=1))
    with pytest.raises(WorkerKilled):
        die(process(database, tries=1))


@pytest.mark.parametrize("end", [None, Poison, Transient, Unavailable, KeyError])
def test_a_delivery_that_the_process_survives_counts_as_none_whatever_its_end(
    end: type[Exception] | None, database: Database
) -> None:
    for _ in range(3):
        for _ in range(TRIES - 1):
            die(process(database))
        with suppress(Exception), process(database).turn([RECORD]):
            if end:
                raise end("no mail server")

        assert count(database, unfinished) == 0


def test_deaths_with_other_records_in_hand_are_no_fault_of_one(database: Database) -> None:
    for offset in range(20):
        worker = process(database)
        for before in range(offset):
            with worker.turn([Record(before)]):
                pass
        die(worker, Record(offset))
    places = [Record(0), Record(0, partition=1), Record(0, topic="billing.retry")]
    for place in places * (TRIES - 1):
        die(process(database), place)


def test_who_takes_over_a_partition_goes_on_counting_and_other_groups_count_for_themselves(database: Database) -> None:
    for group in ("billing", "notifier") * TRIES:
        die(process(database, group=group))
    another = process(database)
    with another.turn([Record(5)]):
        pass
    another.assigned()

    with pytest.raises(WorkerKilled):
        die(another)
    with pytest.raises(WorkerKilled):
        die(process(database, group="notifier"))


def test_only_the_first_records_after_an_assignment_are_noted_since_steady_work_must_not_pay(
    database: Database,
) -> None:
    worker = process(database)

    def noted(record: Record) -> int:
        with worker.turn([record]):
            return count(database, unfinished)

    first = [noted(Record(10 * number)) for number in range(SUSPECTS)]
    again = noted(Record(10 * (SUSPECTS - 1)))
    later = [noted(Record(10 * SUSPECTS + number)) for number in range(3)]
    elsewhere = noted(Record(10 * SUSPECTS, partition=1))
    worker.assigned()
    after_assignment = noted(Record(10 * SUSPECTS + 3))

    assert first == [1] * SUSPECTS
    assert (again, later, elsewhere, after_assignment) == (1, [0, 0, 0], 1, 1)


def test_tries_in_an_outage_of_the_database_itself_do_not_add_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def away(*, synced: bool = True) -> Iterator[None]:
        raise OperationalError("BEGIN", {}, Exception("database or disk is full"))
        yield

    worker = process(database)
    for _ in range(3 * TRIES):
        with monkeypatch.context() as patch, pytest.raises(Unavailable), worker.turn([RECORD]):
            patch.setattr(database, "write", away)
            raise Unavailable
    with worker.turn([RECORD]):
        pass

    assert count(database, unfinished) == 0


def test_a_delivery_that_a_stop_interrupts_is_not_counted(database: Database) -> None:
    for _ in range(3 * TRIES):
        worker = process(database)
        with suppress(SystemExit), worker.turn([RECORD]):
            worker.strike_off()
            raise SystemExit


@pytest.mark.long
@pytest.mark.parametrize("death", ["signal", "watchdog", "exit"])
async def test_a_message_that_kills_its_worker_is_set_aside_after_its_tries_and_those_behind_it_are_handled(
    death: str, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRY_TRIES", "3")
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, unique("invoices"), orders=await kafka.topic())
    database = Database(f"sqlite:///{tiny.database}")
    database.upgrade()
    deadly = f"dies by {death}"
    await kafka.put(tiny.orders, *(encoded(OrderPlaced(order_id=order)) for order in ("o-1", deadly, "o-2")))
    for _ in range(3):
        with tiny.run():
            assert await tiny.exit_code() != 0
    with tiny.run():
        await kafka.until_committed(tiny.service, tiny.orders, {0: 3})
        handled = [line["key"] for line in tiny.logs if line["message"] in ("handled", "duplicate")]
        await tiny.terminate()
    (letter,) = await kafka.records(f"{tiny.service}.dlq")
    database.close()

    assert handled[-1] == "o-2"
    assert (letter.key, letter.value) == (deadly.encode(), OrderPlaced(order_id=deadly).model_dump_json().encode())
    assert (header(letter, "dlq.error-type"), header(letter, "dlq.attempts")) == (
        "eventbus.worker.unfinished.WorkerKilled",
        "3",
    )
    assert str(header(letter, "dlq.error-message")).startswith("3 deliveries in a row ended with the process")
    assert (header(letter, "dlq.original-topic"), header(letter, "dlq.original-offset")) == (tiny.orders, "1")


# More than a worker handles before it is killed for the last time.
EACH = 700


@pytest.mark.long
async def test_a_worker_that_is_killed_again_and_again_under_load_sets_no_message_aside(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRY_TRIES", "3")
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, unique("invoices"), orders=await kafka.topic())
    database = Database(f"sqlite:///{tiny.database}")
    database.upgrade()
    for partition in range(3):
        records = [encoded(OrderPlaced(order_id=f"{partition}-{number}")) for number in range(EACH)]
        await kafka.put(tiny.orders, *records, partition=partition)
    for _ in range(6):
        before = count(database, inbox)
        with tiny.run():
            await eventually("it works", lambda: count(database, inbox) > before + 7)  # noqa: B023
            tiny.process.send_signal(signal.SIGKILL)
            await tiny.exit_code()
    with tiny.run():
        await eventually("all orders are handled", lambda: count(database, inbox) == 3 * EACH)
        await tiny.terminate()
    database.close()

    assert await kafka.records(f"{tiny.service}.dlq") == []
