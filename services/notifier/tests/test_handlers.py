"""A message that comes twice is mailed once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from eventbus import Database, Outbox, Poison, Subscription, Transient, outside_transaction
from eventbus.cloudevents import Message
from eventbus.worker.inbox import Inbox
from eventbus.worker.subscription import Bench, Outcome
from services.notifier.tests.post_office import PostOffice
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from notifier import store
from notifier.events import InvoiceIssued
from notifier.handlers import mail_invoice
from notifier.mailer import Mailer


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    database = Database(database_url)
    database.create(store.metadata)
    yield Bench(database, Inbox("notifier"), Outbox("notifier"))
    database.close()


@pytest.fixture
def notifying(mailer: Mailer) -> Subscription:
    return outside_transaction(InvoiceIssued, mail_invoice, mailer, record=store.note_sent)


def mails_noted(bench: Bench) -> list[tuple[str, str]]:
    with bench.database.read() as connection:
        return [(row.message_id, row.order_id) for row in connection.execute(text("SELECT * FROM mails"))]


def test_an_invoice_is_mailed_and_noted(
    notifying: Subscription, bench: Bench, office: PostOffice, invoice: InvoiceIssued
) -> None:
    outcome = notifying.apply(bench, Message("/test", "m-1", invoice))

    [mail] = office.mails
    assert outcome is Outcome.HANDLED
    assert mails_noted(bench) == [(mail["Message-ID"], invoice.order_id)]


def test_a_message_that_comes_twice_is_mailed_once(
    notifying: Subscription, bench: Bench, office: PostOffice, invoice: InvoiceIssued
) -> None:
    outcomes = [notifying.apply(bench, Message("/test", "m-1", invoice)) for _ in range(2)]

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert len(office.accepted) == len(mails_noted(bench)) == 1


def test_a_mail_that_was_not_taken_is_not_remembered_and_mailed_at_the_next_try(
    notifying: Subscription, bench: Bench, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_recipient = "451 greylisted"
    with pytest.raises(Transient):
        notifying.apply(bench, Message("/test", "m-1", invoice))
    noted = mails_noted(bench)
    office.to_recipient = "250 OK"
    outcome = notifying.apply(bench, Message("/test", "m-1", invoice))

    assert noted == []
    assert outcome is Outcome.HANDLED
    assert len(office.accepted) == 1


def test_poison_is_not_noted_as_mailed(
    notifying: Subscription, bench: Bench, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_recipient = "550 unknown"
    with pytest.raises(Poison):
        notifying.apply(bench, Message("/test", "m-1", invoice))

    assert mails_noted(bench) == []


@contextmanager
def unable_to_note(bench: Bench) -> Iterator[None]:
    """Let nobody note an e-mail."""
    with bench.database.write() as connection:
        connection.execute(text("ALTER TABLE mails RENAME TO gone"))
    yield
    with bench.database.write() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO mails"))


def test_a_mail_that_cannot_be_noted_is_not_sent_again_meanwhile(
    notifying: Subscription, bench: Bench, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with unable_to_note(bench):
        for _ in range(3):
            with pytest.raises(SQLAlchemyError):
                notifying.apply(bench, Message("/test", "m-1", invoice))
    outcome = notifying.apply(bench, Message("/test", "m-1", invoice))

    assert outcome is Outcome.HANDLED
    assert len(office.mails) == len(mails_noted(bench)) == 1


def test_a_mail_whose_note_was_lost_with_its_process_is_repeated_under_the_same_message_id(
    notifying: Subscription, bench: Bench, mailer: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with unable_to_note(bench), pytest.raises(SQLAlchemyError):
        notifying.apply(bench, Message("/test", "m-1", invoice))
    next_process = outside_transaction(InvoiceIssued, mail_invoice, mailer, record=store.note_sent)
    next_process.apply(bench, Message("/test", "m-1", invoice))

    first, second = office.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert len(mails_noted(bench)) == 1


def test_no_lock_is_held_while_a_mail_is_on_its_way(bench: Bench, mailer: Mailer, invoice: InvoiceIssued) -> None:
    def mail_and_write(event: InvoiceIssued, mailer: Mailer) -> object:
        with bench.database.write() as connection:
            connection.execute(text("CREATE TABLE meanwhile (x INTEGER)"))
        return mail_invoice(event, mailer)

    subscription = outside_transaction(InvoiceIssued, mail_and_write, mailer, record=lambda _connection, _sent: None)

    assert subscription.apply(bench, Message("/test", "m-1", invoice)) is Outcome.HANDLED
