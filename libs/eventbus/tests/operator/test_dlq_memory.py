import signal
import sys

import psutil
import pytest
from eventbus import within_transaction
from eventbus.operator.dlq import resolved, resolver
from eventbus.operator.dlq.resolved import Position
from eventbus.worker import dead_letters
from sqlalchemy import Connection, insert

from libs.eventbus.tests.operating import Operator, ended, letter, process
from libs.eventbus.tests.processes import collecting
from libs.eventbus.tests.support import OrderPlaced, Service, effects, effects_of, eventually, header

# The command, killed when it is about to write its first mark; and interrupted then.
AT_THE_FIRST_MARK = """
import os, signal
from eventbus.operator.dlq import resolved
key_of, seen = resolved.key_of, []
def send_signal(position):
    if not seen:
        os.kill(os.getpid(), signal.{signal})
    seen.append(position)
    return key_of(position)
resolved.key_of = send_signal
from eventbus.operator.cli import main
main()
"""


def program(name: str) -> tuple[str, ...]:
    return sys.executable, "-c", AT_THE_FIRST_MARK.format(signal=name)


def test_a_purged_letter_is_not_listed_any_more_and_nothing_is_sent(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(*(letter(f"o-{number}", original=topic) for number in range(3)))
    answer = operator.dlq("purge", "--offset", "0:1")
    (done,) = operator.dlq("list", "--done", "--json").json

    assert answer.out.splitlines() == ["to be purged: 1 letter: 1 Poison", "purged: 1 letter"]
    assert operator.listed() == ["o-0", "o-2"]
    assert (done["order"], done["done"]) == ("o-1", "purged")
    assert "purged" in operator.dlq("list", "--done").out
    assert operator.dlq("purge", "--offset", "0:1").exit_code == 1
    assert operator.records(topic) == []


def test_letters_before_which_none_is_left_are_removed_for_real_and_their_marks_too(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(*(letter(f"o-{number}", original=topic) for number in range(4)))
    operator.put(letter("other", original=topic), partition=1)
    operator.dlq("redrive", "--order", "o-1", "--order", "o-2", "--yes")
    assert operator.kept() == {0: [0, 1, 2, 3], 1: [0]}

    operator.dlq("purge", "--order", "o-0")
    assert operator.kept() == {0: [3], 1: [0]}
    assert operator.marked() == []

    operator.dlq("redrive", "--all", "--yes")
    operator.put(letter("new", original=topic))
    assert operator.kept() == {0: [4]}
    assert operator.listed() == ["new"]
    assert {record.key for record in operator.records(topic)} == {b"o-1", b"o-2", b"o-3", b"other"}


def test_marks_of_a_topic_that_was_made_again_hide_no_new_letter_nor_remove_it(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(letter("old", original=topic), letter("old", original=topic))
    operator.dlq("purge", "--offset", "0:1")
    operator.forget_letters()
    operator.create_letters()
    operator.put(letter("left", original=topic, key=None), letter("new", original=topic))

    assert operator.listed() == [None, "new"]
    operator.dlq("purge", "--offset", "0:0")
    assert operator.kept() == {0: [1]}


@pytest.mark.parametrize("foreign", [(b"x", b"{}"), (b"0:0", b"no json"), (b"0:0", b"[]"), (b"0:0", b'{"deed": "x"}')])
def test_what_is_no_mark_marks_nothing(operator: Operator, foreign: tuple[bytes, bytes]) -> None:
    operator.put(letter("o-0", original="orders"), letter("o-1", original="orders"))
    operator.dlq("purge", "--order", "o-1")
    operator.run(operator.kafka.put(dead_letters.resolved_topic_of(operator.letters), (*foreign, [])))

    assert operator.listed() == ["o-0"]


def test_killed_between_the_message_and_its_mark_it_sends_twice_which_has_one_effect(
    operator: Operator, service: Service
) -> None:
    topic = operator.topic()
    operator.put(letter("o-1", original=topic))
    with (
        collecting() as collected,
        process(
            operator.kafka.broker,
            *("dlq", "redrive", "--group", operator.group, "--all"),
            program=program("SIGKILL"),
            collected=collected,
        ) as killed,
    ):
        assert ended(killed).exit_code == -signal.SIGKILL
    assert operator.listed() == ["o-1"]
    assert operator.dlq("redrive", "--all").exit_code == 0
    records = operator.records(topic)

    async def work() -> None:
        subscription = within_transaction(OrderPlaced.on(topic), issue_nothing, lambda connection: connection)
        async with service.working(subscription):
            await eventually("it has an effect", lambda: effects_of(service.database))
            partition = records[0].partition
            await operator.kafka.until_committed(service.group, topic, {partition: 2})

    operator.run(work())
    # Its span left the process before it died: the message that it sent has a parent.
    assert [span.name for span in collected.spans] == [f"send {topic}"]
    assert (
        header(records[0], "traceparent")
        == f"00-{collected.spans[0].trace_id.hex()}-{collected.spans[0].span_id.hex()}-01"
    )
    assert [header(record, "ce_id") for record in records] == ["e-o-1", "e-o-1"]
    assert effects_of(service.database) == ["o-1"]
    assert operator.listed() == []


def issue_nothing(order: OrderPlaced, connection: Connection) -> None:
    connection.execute(insert(effects).values(order_id=order.order_id))


def test_interrupted_it_finishes_what_it_has_in_hand_and_goes_on_from_there_the_next_time(operator: Operator) -> None:
    topic = operator.topic()
    orders = [f"o-{number:04}" for number in range(1500)]
    operator.put(*(letter(order, original=topic) for order in orders))
    with process(
        operator.kafka.broker,
        *("dlq", "redrive", "--group", operator.group, "--all", "--yes"),
        program=program("SIGINT"),
    ) as interrupted:
        answer = ended(interrupted)
    left = operator.listed()
    sent = [(record.key or b"").decode() for record in operator.records(topic)]

    assert answer.exit_code == 1
    assert f"interrupted: {len(left)} left" in answer.err
    assert answer.out.splitlines()[-1] == f"redriven: {len(sent)} letters"
    assert sent and left and sorted(sent + left) == orders

    operator.dlq("redrive", "--all", "--yes")
    assert sorted((record.key or b"").decode() for record in operator.records(topic)) == orders


@pytest.fixture
def broker_process(broker: str) -> psutil.Process:
    port = int(broker.rpartition(":")[2])
    (pid,) = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
    }
    return psutil.Process(pid)


def test_a_broker_that_goes_away_meanwhile_is_told_in_one_line_and_nothing_is_lost(
    operator: Operator, broker_process: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = operator.topic()
    operator.put(*(letter(f"o-{number}", original=topic) for number in range(3)))
    key_of = resolved.key_of

    def hang(position: Position) -> bytes:
        broker_process.suspend()
        return key_of(position)

    with monkeypatch.context() as patch:
        patch.setattr(resolved, "key_of", hang)
        patch.setattr(resolver, "ANSWER_TIMEOUT_S", 1)
        try:
            answer = operator.dlq("redrive", "--all", "--yes")
        finally:
            broker_process.resume()
    operator.until_the_broker_works()

    assert answer.exit_code == 1
    assert answer.err == "Error: the broker does not answer (TimeoutError): 3 left, run the command again\n"
    assert len(operator.records(topic)) == 3
    # The marks may have arrived all the same.
    assert set(operator.listed()) <= {"o-0", "o-1", "o-2"}


def test_a_broker_that_hangs_is_told_in_one_line(
    operator: Operator, broker_process: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.kafka.ASK_TIMEOUT_S", 1)
    broker_process.suspend()
    try:
        answer = operator.dlq("list")
    finally:
        broker_process.resume()
    operator.until_the_broker_works()

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == f"Error: the broker at {operator.kafka.broker} does not answer (TimeoutError)\n"
