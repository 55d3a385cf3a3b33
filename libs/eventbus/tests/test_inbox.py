import pytest
from eventbus import Database
from eventbus.inbox import Inbox
from sqlalchemy.exc import IntegrityError


def test_a_handled_message_is_known_to_its_consumer_only(database: Database) -> None:
    with database.write() as connection:
        Inbox("billing").add(connection, "e-1")
    with database.read() as connection:
        known = [Inbox(name).knows(connection, event) for name in ("billing", "notifier") for event in ("e-1", "e-2")]

    assert known == [True, False, False, False]


def test_a_message_is_forgotten_with_the_transaction_that_failed(database: Database) -> None:
    with pytest.raises(LookupError), database.write() as connection:
        Inbox("billing").add(connection, "e-1")
        raise LookupError
    with database.read() as connection:
        known = Inbox("billing").knows(connection, "e-1")

    assert not known


def test_a_message_cannot_be_handled_twice_even_by_two_at_once(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        Inbox("billing").add(connection, "e-1")
        Inbox("billing").add(connection, "e-1")
