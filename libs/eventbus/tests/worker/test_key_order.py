"""RETRY_ORDER=key: while a message waits for its next try, those of its key wait behind it, and no others."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from eventbus import Database, Poison, Subscription, Transient, outside_transaction, within_transaction
from eventbus.database.tables import waiting
from opentelemetry.trace import StatusCode
from sqlalchemy import Connection, insert

from libs.eventbus.tests.support import (
    Kafka,
    ParcelMoved,
    Recorded,
    Service,
    count,
    effects,
    effects_of,
    encoded,
    eventually,
    header,
)

DELAY_S = 0.3


class Failing:
    """Lets moves fail so many times, and counts the calls."""

    def __init__(self, **times: int) -> None:
        self.left = {name.replace("_", "-"): many for name, many in times.items()}
        self.calls: Counter[str] = Counter()
        self.error: type[Exception] = Transient

    def look_at(self, event: ParcelMoved) -> str:
        self.calls[event.name] += 1
        if self.left.get(event.name, 0) > 0:
            self.left[event.name] -= 1
            raise self.error("not now")
        return event.name


def in_transaction(failing: Failing) -> Subscription:
    def store(event: ParcelMoved, connection: Connection) -> None:
        note(connection, failing.look_at(event))

    return within_transaction(ParcelMoved, store, lambda connection: connection)


def as_effect(failing: Failing) -> Subscription:
    return outside_transaction(ParcelMoved, lambda event, _: failing.look_at(event), None, record=note)


def note(connection: Connection, move: str) -> None:
    connection.execute(insert(effects).values(order_id=move))


def moves(*names: str) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    return [
        encoded(ParcelMoved(parcel=parcel, number=int(number)))
        for parcel, _, number in (name.rpartition("-") for name in names)
    ]


def of(parcel: str, database: Database) -> list[int]:
    """Return the moves of a parcel that had an effect, in the order of the effects."""
    return [
        int(number) for name, _, number in (move.rpartition("-") for move in effects_of(database)) if name == parcel
    ]


@pytest.fixture
def service(service: Service) -> Service:
    service.settings = {"retry_order": "key", "retry_delay_s": DELAY_S, "retry_tries": 5}
    return service


@pytest.fixture
async def topic(kafka: Kafka) -> str:
    ParcelMoved.topic = await kafka.topic("parcels")
    return ParcelMoved.topic


async def everything_over(database: Database, moves: int) -> None:
    await eventually("everything has had its effect", lambda: len(effects_of(database)) == moves)
    await eventually("nobody waits", lambda: count(database, waiting) == 0)


@pytest.mark.parametrize("kind", [in_transaction, as_effect])
@pytest.mark.parametrize("slots", [1, 4])
async def test_messages_wait_behind_one_of_their_key_that_is_tried_again_and_others_do_not(
    slots: int,
    kind: Callable[[Failing], Subscription],
    kafka: Kafka,
    database: Database,
    service: Service,
    topic: str,
    recorded: Recorded,
) -> None:
    service.settings["worker_slots"] = slots
    failing = Failing(a_1=3, a_3=1)
    names = [f"{parcel}-{number}" for number in range(6) for parcel in "abc"]
    await kafka.put(topic, *moves(*names))
    async with service.working(kind(failing)):
        await everything_over(database, len(names))
    effect_of = {name: number for number, name in enumerate(effects_of(database))}
    letters = await kafka.records(service.letters)

    assert {parcel: of(parcel, database) for parcel in "abc"} == {parcel: list(range(6)) for parcel in "abc"}
    assert all(effect_of[f"{other}-5"] < effect_of["a-1"] for other in "bc")
    # Who only waits is not tried.
    assert failing.calls == Counter({**dict.fromkeys(names, 1), "a-1": 4, "a-3": 2})
    assert letters == []
    failed = [span for span in recorded.spans("process") if span.status.status_code is StatusCode.ERROR]
    assert len(failed) == 4


async def test_what_only_waits_loses_no_try_and_is_not_said_to_have_failed(
    kafka: Kafka, database: Database, service: Service, topic: str, recorded: Recorded
) -> None:
    service.settings["retry_tries"] = 2
    failing = Failing(a_0=1)
    await kafka.put(topic, *moves("a-0", "a-1"))
    async with service.working(in_transaction(failing)):
        await everything_over(database, 2)
    retries = await kafka.records(service.retries)
    first, second = recorded.spans(f"process {topic}")

    assert of("a", database) == [0, 1]
    assert [header(each, "retry.attempt") for each in retries[:2]] == ["1", "0"]
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert all("journey.retry.due" in (span.attributes or {}) for span in (first, second))


@pytest.mark.parametrize("error", [Transient, Poison])
async def test_a_message_that_becomes_a_dead_letter_holds_up_nobody_any_longer(
    error: type[Exception], kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    failing = Failing(a_0=99)
    failing.error = error
    await kafka.put(topic, *moves("a-0", "a-1", "a-2"))
    async with service.working(in_transaction(failing)):
        await everything_over(database, 2)
        await eventually("it has had its tries", lambda: failing.calls["a-0"] == (5 if error is Transient else 1))
    (letter,) = await kafka.records(service.letters)

    assert of("a", database) == [1, 2]
    assert header(letter, "dlq.original-offset") == "0"


async def test_what_comes_while_others_of_its_key_wait_has_its_turn_after_them_whoever_reads_it(
    kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    failing = Failing(**{f"{parcel}_0": 4 for parcel in "abcdef"})
    async with service.working(in_transaction(failing)), service.working(in_transaction(failing)):
        for number in range(8):
            for partition, parcels in enumerate(("ab", "cd", "ef")):
                await kafka.put(topic, *moves(*(f"{each}-{number}" for each in parcels)), partition=partition)
            await eventually(
                "they were read",
                lambda number=number: len(effects_of(database)) + count(database, waiting) > number * 6,
            )
        await everything_over(database, 48)

    assert {parcel: of(parcel, database) for parcel in "abcdef"} == {parcel: list(range(8)) for parcel in "abcdef"}


async def test_without_it_a_message_does_not_wait_for_another_one(
    kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    service.settings["retry_order"] = "none"
    await kafka.put(topic, *moves("a-0", "a-1"))
    async with service.working(in_transaction(Failing(a_0=1))):
        await everything_over(database, 2)

    assert of("a", database) == [1, 0]


async def test_who_was_left_waiting_when_it_was_turned_off_holds_up_nobody_when_it_is_turned_on_again(
    kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    service.settings["retry_delay_s"] = 2
    await kafka.put(topic, *moves("a-0", "b-0"))
    async with service.working(in_transaction(Failing(a_0=1))):
        await eventually("the other one is handled", lambda: of("b", database) == [0])
        await eventually("the first one waits for its next try", lambda: count(database, waiting) == 1)
    service.settings["retry_order"] = "none"
    async with service.working(in_transaction(Failing())):
        await everything_over(database, 2)


async def test_messages_without_a_key_wait_for_nobody(
    kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    await kafka.put(topic, *((None, *move[1:]) for move in moves("a-0", "a-1")))
    async with service.working(in_transaction(Failing(a_0=1))):
        await everything_over(database, 2)

    assert of("a", database) == [1, 0]


async def test_a_key_of_any_length_keeps_its_order(
    kafka: Kafka, database: Database, service: Service, topic: str
) -> None:
    key: Any = b"\xff" * 20_000
    await kafka.put(topic, *((key, *move[1:]) for move in moves("a-0", "a-1", "a-2")))
    async with service.working(in_transaction(Failing(a_0=2))):
        await everything_over(database, 3)

    assert all(before < after for before, after in pairwise(of("a", database)))
