import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from eventbus import Database
from eventbus.worker.inbox import Inbox


def test_a_handled_message_is_known_to_its_consumer_only(database: Database) -> None:
    with database.write() as connection:
        Inbox("billing").take(connection, "e-1")
    with database.read() as connection:
        known = [Inbox(name).known(connection, ["e-1", "e-2"]) for name in ("billing", "notifier")]

    assert known == [{"e-1"}, set()]


def test_a_message_is_taken_once_by_each_consumer(database: Database) -> None:
    taken = []
    for name in ("billing", "billing", "notifier"):
        with database.write() as connection:
            taken.append(Inbox(name).take(connection, "e-1"))

    assert taken == [True, False, True]


def test_a_message_is_forgotten_with_the_transaction_that_failed(database: Database) -> None:
    with pytest.raises(LookupError), database.write() as connection:
        Inbox("billing").take(connection, "e-1")
        raise LookupError
    with database.read() as connection:
        known = Inbox("billing").known(connection, ["e-1"])

    assert not known


@pytest.mark.parametrize("first_one_fails", [False, True])
def test_who_takes_a_message_that_another_one_holds_waits_for_its_end(
    database: Database, first_one_fails: bool
) -> None:
    ended = threading.Event()

    def take_too() -> tuple[bool, bool]:
        with database.write() as connection:
            return Inbox("billing").take(connection, "e-1"), ended.is_set()

    with ThreadPoolExecutor(1) as another:
        try:
            with database.write() as connection:
                Inbox("billing").take(connection, "e-1")
                taking = another.submit(take_too)
                with pytest.raises(TimeoutError):
                    taking.result(timeout=0.3)
                ended.set()
                if first_one_fails:
                    raise LookupError
        except LookupError:
            pass

    assert taking.result() == (first_one_fails, True)
