"""A message that comes twice is mailed once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from eventbus import Database, Poison, Transient, outside_transaction
from eventbus.testing import LocalWorker, Outcome
from services.notifier.tests.post_office import PostOffice
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from notifier import store
from notifier.events import InvoiceIssued
from notifier.handlers import mail_invoice
from notifier.mailer import Mailer


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade(store.SCHEMA)
    yield database
    database.close()


def notifying(database: Database, mailer: Mailer) -> LocalWorker:
    subscription = outside_transaction(InvoiceIssued, mail_invoice, mailer, record=store.note_sent)
    return LocalWorker("notifier", database, subscription)


@pytest.fixture
def worker(database: Database, mailer: Mailer) -> LocalWorker:
    return notifying(database, mailer)


def mails_noted(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        return [(row.message_id, row.order_id) for row in connection.execute(text("SELECT * FROM mails"))]


def test_an_invoice_is_mailed_and_noted(
    worker: LocalWorker, database: Database, office: PostOffice, invoice: InvoiceIssued
) -> None:
    outcome = worker.deliver(invoice, event_id="m-1")

    [mail] = office.mails
    assert outcome is Outcome.HANDLED
    assert mails_noted(database) == [(mail["Message-ID"], invoice.order_id)]


def test_a_message_that_comes_twice_is_mailed_once(
    worker: LocalWorker, database: Database, office: PostOffice, invoice: InvoiceIssued
) -> None:
    outcomes = [worker.deliver(invoice, event_id="m-1") for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert len(office.accepted) == len(mails_noted(database)) == 1


def test_a_mail_that_was_not_taken_is_not_remembered_and_mailed_at_the_next_try(
    worker: LocalWorker, database: Database, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_recipient = "451 greylisted"
    with pytest.raises(Transient):
        worker.deliver(invoice, event_id="m-1")
    noted = mails_noted(database)
    office.to_recipient = "250 OK"
    outcome = worker.deliver(invoice, event_id="m-1")

    assert noted == []
    assert outcome is Outcome.HANDLED
    assert len(office.accepted) == 1


def test_poison_is_not_noted_as_mailed(
    worker: LocalWorker, database: Database, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_recipient = "550 unknown"
    with pytest.raises(Poison):
        worker.deliver(invoice, event_id="m-1")

    assert mails_noted(database) == []


@contextmanager
def unable_to_note(database: Database) -> Iterator[None]:
    """Let nobody note an e-mail."""
    with database.write() as connection:
        connection.execute(text("ALTER TABLE mails RENAME TO gone"))
    yield
    with database.write() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO mails"))


def test_a_mail_that_cannot_be_noted_is_not_sent_again_meanwhile(
    worker: LocalWorker, database: Database, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with unable_to_note(database):
        for _ in range(3):
            with pytest.raises(SQLAlchemyError):
                worker.deliver(invoice, event_id="m-1")
    outcome = worker.deliver(invoice, event_id="m-1")

    assert outcome is Outcome.HANDLED
    assert len(office.mails) == len(mails_noted(database)) == 1


def test_a_mail_whose_note_was_lost_with_its_process_is_repeated_under_the_same_message_id(
    worker: LocalWorker, database: Database, mailer: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with unable_to_note(database), pytest.raises(SQLAlchemyError):
        worker.deliver(invoice, event_id="m-1")
    notifying(database, mailer).deliver(invoice, event_id="m-1")  # as the next process does

    first, second = office.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert len(mails_noted(database)) == 1


def test_no_lock_is_held_while_a_mail_is_on_its_way(database: Database, mailer: Mailer, invoice: InvoiceIssued) -> None:
    def mail_and_write(event: InvoiceIssued, mailer: Mailer) -> object:
        with database.write() as connection:
            connection.execute(text("CREATE TABLE meanwhile (x INTEGER)"))
        return mail_invoice(event, mailer)

    subscription = outside_transaction(InvoiceIssued, mail_and_write, mailer, record=lambda _connection, _sent: None)

    assert LocalWorker("notifier", database, subscription).deliver(invoice) is Outcome.HANDLED
