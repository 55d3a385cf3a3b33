"""The e-mail as its reader gets it, and what becomes of one that the mail server does not take."""

import asyncio
import logging
import re
import socket
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import pytest
from eventbus import Poison, Transient, Unavailable
from eventbus.process import logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError
from services.notifier.tests.post_office import MailServer, PostOffice
from smtplib_otel import SMTPInstrumentor

from notifier.events import InvoiceIssued
from notifier.mailer import Mailer

ADA = "ada@reader.example"
SENDER = "billing@shop.example"
ORDER = "5f0d6c9e-7c55-4c8e-9d1a-0c2b6f7a1e11"


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one command at a time", "pipelining"])
def office(request: pytest.FixtureRequest) -> PostOffice:
    """A mail server of each kind, for every test here."""
    return PostOffice(*request.param)


@pytest.fixture
def hurried(server: MailServer) -> Iterator[Mailer]:
    """A mailer that waits for an answer 1 s."""
    with Mailer(host="127.0.0.1", port=server.port, sender=SENDER, timeout=1) as mailer:
        yield mailer


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body
    return str(body.get_content()).replace("\r\n", "\n")


def words(html: str) -> list[str]:
    """The text of *html* as a reader sees it, cell by cell."""
    return [text.strip() for text in re.split(r"<[^>]*>", html) if text.strip()]


def changed(invoice: InvoiceIssued, **members: object) -> InvoiceIssued:
    return InvoiceIssued.model_validate({**invoice.model_dump(mode="json"), **members})


def test_an_invoice_is_mailed_to_its_customer(mailer: Mailer, office: PostOffice, invoice: InvoiceIssued) -> None:
    mailer.send(invoice)

    [envelope], [mail] = office.accepted, office.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [ADA])
    assert {name: mail[name] for name in ("From", "To", "Subject", "Date", "Message-ID")} == {
        "From": SENDER,
        "To": ADA,
        "Subject": "Invoice INV-00000042",
        "Date": "Wed, 04 Mar 2026 05:06:07 +0000",
        "Message-ID": f"<{ORDER}.invoice@shop.example>",
    }
    assert not mail.defects


def test_the_plain_part_has_every_line_and_the_total(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    mailer.send(invoice)

    [mail] = office.mails
    assert mail.get_content_type() == "multipart/alternative"
    assert part(mail, "plain") == (
        "Thank you for your order.\n"
        "\n"
        "Invoice INV-00000042\n"
        f"Order   {ORDER}\n"
        "\n"
        "BOOK-1                        2 x        19.90 =          39.80\n"
        "PEN-7                        10 x         1.05 =          10.50\n"
        "\n"
        "Total 50.30 EUR\n"
    )


def test_the_html_part_says_the_same(mailer: Mailer, office: PostOffice, invoice: InvoiceIssued) -> None:
    mailer.send(invoice)

    [mail] = office.mails
    assert words(part(mail, "html")) == [
        *("Thank you for your order.", "Invoice INV-00000042", f"Order {ORDER}"),
        *("Article", "Quantity", "Price", "Amount"),
        *("BOOK-1", "2", "19.90", "39.80"),
        *("PEN-7", "10", "1.05", "10.50"),
        "Total 50.30 EUR",
    ]


def test_the_html_part_quotes_what_could_be_markup(mailer: Mailer, office: PostOffice, invoice: InvoiceIssued) -> None:
    sku = '<img src="x" onerror=alert(1)>&'
    line = {"sku": sku, "quantity": 1, "unit_price": "1.00", "amount": "1.00"}
    mailer.send(changed(invoice, lines=[line], currency="<b>"))

    [mail] = office.mails
    assert "<img" not in part(mail, "html")
    assert "&lt;img src=&#34;x&#34; onerror=alert(1)&gt;&amp;" in part(mail, "html")
    assert "50.30 &lt;b&gt;" in part(mail, "html")
    assert sku in part(mail, "plain")


def test_a_line_break_in_an_article_stays_in_the_body(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    hostile = {"sku": "A\r\n.\r\nMAIL FROM:<eve@reader.example>\r\n", "quantity": 1, "unit_price": "1", "amount": "1"}
    mailer.send(changed(invoice, lines=[hostile]))

    [mail] = office.mails
    assert "MAIL FROM:<eve@reader.example>" in part(mail, "plain")
    assert sorted(mail.keys()) == ["Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]


def test_any_language_and_any_length_arrives(mailer: Mailer, office: PostOffice, invoice: InvoiceIssued) -> None:
    sku = "Бумага 紙 🗞 " + "x" * 2000
    mailer.send(changed(invoice, lines=[{"sku": sku, "quantity": 1, "unit_price": "1.00", "amount": "1.00"}]))

    [mail] = office.mails
    assert sku in part(mail, "plain")
    assert sku in part(mail, "html")


def test_an_order_has_one_message_id_however_often_its_invoice_is_mailed(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    sent = [mailer.send(each) for each in (invoice, invoice, changed(invoice, order_id="another"))]

    ids = [mail["Message-ID"] for mail in office.mails]
    assert [each.message_id for each in sent] == ids
    assert ids[0] == ids[1] != ids[2]
    assert [each.order_id for each in sent] == [ORDER, ORDER, "another"]


@pytest.mark.parametrize("length", [1, 64])
def test_addresses_and_ids_of_any_length_arrive_whole(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, length: int
) -> None:
    address = f"{'a' * length}@{'reader.' * 25}example"
    mailer.send(
        changed(invoice, order_id="o" * length, customer={"email": address}),
    )

    [mail] = office.mails
    assert mail["To"] == address
    assert mail["Message-ID"] == f"<{'o' * length}.invoice@shop.example>"


def test_one_connection_carries_many_mails(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    for _ in range(20):
        mailer.send(invoice)

    assert len(office.accepted) == 20
    assert server.opened == 1


def test_threads_that_send_at_the_same_time_have_connections_of_their_own_which_are_kept(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.waits_for = asyncio.Barrier(4)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            list(threads.map(mailer.send, [invoice] * 4))

    assert len(office.accepted) == 20
    assert server.opened == 4


def test_an_email_waits_for_as_few_answers_as_the_server_allows(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    ways = {(): ["MAIL", "RCPT", "DATA", "content"], ("PIPELINING",): ["MAIL RCPT DATA", "content"]}
    for _ in range(3):
        mailer.send(invoice)

    assert server.conversation() == ["EHLO", *ways[office.offers] * 3]


def test_a_connection_is_tried_only_after_it_was_idle(
    server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with Mailer(host="127.0.0.1", port=server.port, sender=SENDER, idle=0) as mailer:
        mailer.send(invoice)
        server.conversation()
        mailer.send(invoice)
        tried = server.conversation()
        server.hang_up()
        mailer.send(invoice)

    assert tried[0] == "NOOP"
    assert "NOOP" not in server.conversation()
    assert (len(office.accepted), server.opened) == (3, 2)


def test_nothing_connects_before_there_is_a_mail(mailer: Mailer, server: MailServer) -> None:
    with mailer:
        pass

    assert server.opened == 0


def test_a_connection_that_the_server_has_closed_is_opened_again(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    mailer.send(invoice)
    server.hang_up()
    mailer.send(invoice)

    assert len(office.accepted) == 2
    assert server.opened == 2


def test_leaving_a_mailer_gives_up_its_connection_also_by_an_exception(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    with pytest.raises(LookupError), mailer:
        mailer.send(invoice)
        raise LookupError
    mailer.send(invoice)

    assert (len(office.accepted), server.opened) == (2, 2)


def test_a_connection_that_the_server_has_ended_with_a_word_is_opened_again(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    mailer.send(invoice)
    server.hang_up(b"421 idle for too long\r\n")
    mailer.send(invoice)

    assert (len(office.accepted), server.opened) == (2, 2)


def test_a_server_that_hangs_up_at_every_sender_is_called_again_once(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    mailer.send(invoice)
    office.breaks_off_at = "MAIL"
    with pytest.raises(Unavailable, match="ServerGone"):
        mailer.send(invoice)

    assert (len(office.accepted), server.opened) == (1, 2)


@pytest.mark.parametrize(("place", "accepted"), [("RCPT", 1), ("content", 2)])
def test_a_connection_that_breaks_within_an_email_is_no_reason_to_send_it_again_at_once(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued, place: str, accepted: int
) -> None:
    mailer.send(invoice)
    office.breaks_off_at = place
    with pytest.raises(Unavailable, match="no answer"):
        mailer.send(invoice)

    assert (len(office.accepted), server.opened) == (accepted, 1)


def test_a_server_that_falls_silent_between_two_emails_is_not_called_again_at_once(
    hurried: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    hurried.send(invoice)
    office.silent_at_sender = True
    with pytest.raises(Unavailable, match="no answer"):
        hurried.send(invoice)

    assert (len(office.accepted), server.opened) == (1, 1)


@pytest.mark.parametrize("code", [550, 551, 553, 554])
def test_a_recipient_refused_for_good_is_poison(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, code: int
) -> None:
    office.to_recipient = f"{code} no such mailbox"
    with pytest.raises(Poison, match=rf"for good \({code}\)"):
        mailer.send(invoice)


@pytest.mark.parametrize("code", [552, 554])
def test_content_refused_for_good_is_poison(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, code: int
) -> None:
    office.to_content = f"{code} spam"
    with pytest.raises(Poison, match=rf"for good \({code}\)"):
        mailer.send(invoice)


TAKEN = {"to_sender": "250 OK", "to_recipient": "250 OK", "to_data": "", "to_content": "250 OK"}

# What the office answers to, and the answer.
NOT_NOW = [
    ("to_recipient", "450 mailbox busy", Transient),
    ("to_recipient", "451 greylisted", Transient),
    ("to_recipient", "452 mailbox full", Transient),
    ("to_recipient", "421 closing down", Unavailable),
    ("to_content", "451 try later", Transient),
    ("to_content", "421 closing down", Unavailable),
    ("to_data", "451 try later", Transient),
    ("to_data", "421 closing down", Unavailable),
    ("to_sender", "451 try later", Unavailable),
    ("to_sender", "421 closing down", Unavailable),
    ("to_sender", "553 not from you", Unavailable),  # a fault of ours or theirs, not of this invoice
]


@pytest.mark.parametrize(("question", "answer", "error"), NOT_NOW)
def test_a_mail_that_is_not_taken_now_is_taken_later(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, question: str, answer: str, error: type[Exception]
) -> None:
    setattr(office, question, answer)
    for _ in range(3):
        with pytest.raises(error, match=r"server"):
            mailer.send(invoice)
    assert office.accepted == []
    setattr(office, question, TAKEN[question])
    mailer.send(invoice)

    assert len(office.accepted) == 1


@pytest.mark.parametrize(
    ("question", "answer"),
    [("to_recipient", "550 unknown"), ("to_data", "554 no valid recipients"), ("to_content", "554 spam")],
)
def test_poison_does_not_spoil_the_connection_for_those_behind_it(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued, question: str, answer: str
) -> None:
    setattr(office, question, answer)
    with pytest.raises(Poison):
        mailer.send(invoice)
    setattr(office, question, TAKEN[question])
    mailer.send(changed(invoice, customer={"email": "grace@reader.example"}))

    assert [envelope.rcpt_tos for envelope in office.accepted] == [["grace@reader.example"]]
    assert server.opened == 1


def test_a_server_that_wants_the_content_without_a_recipient_gets_an_empty_one(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_recipient, office.to_data = "550 unknown", "354 go on"
    with pytest.raises(Poison, match="550"):
        mailer.send(invoice)
    office.to_recipient, office.to_data = "250 OK", ""
    mailer.send(changed(invoice, customer={"email": "grace@reader.example"}))

    assert server.for_nobody == ([b".\r\n"] if office.offers else [])
    assert [envelope.rcpt_tos for envelope in office.accepted] == [["grace@reader.example"]]
    assert server.opened == 1


def test_a_server_that_takes_all_but_the_sender_delivers_nothing(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.to_sender, office.careless = "553 not from you", True
    with pytest.raises(Unavailable, match="553"):
        mailer.send(invoice)
    office.to_sender = "250 OK"
    mailer.send(invoice)

    [mail] = office.mails
    assert mail["To"] == ADA


@pytest.mark.parametrize(
    ("question", "error"), [("to_sender", Unavailable), ("to_recipient", Transient), ("to_content", Transient)]
)
def test_an_answer_that_is_not_smtp_is_not_taken_for_that_to_something_else(
    mailer: Mailer,
    server: MailServer,
    office: PostOffice,
    invoice: InvoiceIssued,
    question: str,
    error: type[Exception],
) -> None:
    setattr(office, question, "what?\r\n250 OK")
    with pytest.raises(error):
        mailer.send(invoice)
    setattr(office, question, "250 OK")
    mailer.send(changed(invoice, order_id="another"))

    assert server.opened == 2
    assert [mail["Message-ID"] for mail in office.mails] == ["<another.invoice@shop.example>"]


def test_a_mail_waits_for_a_server_that_is_away(office: PostOffice, invoice: InvoiceIssued) -> None:
    server = MailServer(office)
    server.start()
    with Mailer(host="127.0.0.1", port=server.port, sender=SENDER) as mailer:
        mailer.send(invoice)
        server.hang_up()
        server.stop()
        with pytest.raises(Unavailable, match="ConnectionRefusedError"):
            mailer.send(invoice)
        back = MailServer(office, server.port)
        back.start()
        mailer.send(invoice)
    back.stop()

    assert len(office.accepted) == 2


def test_a_server_that_never_greets_is_given_up_after_the_timeout(invoice: InvoiceIssued) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mailer = Mailer(host="127.0.0.1", port=mute.getsockname()[1], sender=SENDER, timeout=0.3)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no answer"):
            mailer.send(invoice)

    assert time.monotonic() - began >= 0.3


def test_a_server_that_falls_silent_is_given_up_after_the_timeout_and_asked_again(
    hurried: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.silent = True
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer"):
        hurried.send(invoice)
    waited = time.monotonic() - began
    office.silent = False
    hurried.send(invoice)

    assert waited >= 1
    assert (len(office.accepted), server.opened) == (1, 2)


def test_an_email_is_one_span_however_it_is_sent(
    mailer: Mailer, server: MailServer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    SMTPInstrumentor().instrument(tracer_provider=provider)
    try:
        mailer.send(invoice)
        office.to_recipient = "550 unknown"
        with pytest.raises(Poison):
            mailer.send(invoice)
    finally:
        SMTPInstrumentor().uninstrument()

    sent, refused = exporter.get_finished_spans()
    assert (sent.name, sent.status.is_ok) == ("send email", True)
    assert (sent.attributes or {})["server.port"] == server.port
    assert (refused.name, refused.status.is_ok) == ("send email", False)
    assert (refused.attributes or {})["smtp.response.status_code"] == 550


def everything_said(error: BaseException) -> str:
    """All that a log, a span or a dead letter would keep of *error*."""
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", None, (type(error), error, error.__traceback__))
    return "\n".join(
        [*traceback.format_exception(error), logging.Formatter().format(record), logs.formatter().format(record)]
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        *((q, a) for q, a, _ in NOT_NOW),
        ("to_recipient", "550 unknown"),
        ("to_content", "554 spam"),
        ("to_content", "552 too large"),
    ],
)
def test_no_error_names_an_address(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, question: str, answer: str
) -> None:
    setattr(office, question, f"{answer}: <{ADA}>")
    with pytest.raises((Poison, Transient, Unavailable)) as raised:
        mailer.send(invoice)

    assert str(raised.value) in everything_said(raised.value)
    assert "@" not in everything_said(raised.value)
    assert "reader" not in everything_said(raised.value)


def test_no_error_of_a_broken_connection_names_an_address(
    hurried: Mailer, office: PostOffice, invoice: InvoiceIssued
) -> None:
    office.silent = True
    with pytest.raises(Unavailable) as raised:
        hurried.send(invoice)

    assert "@" not in everything_said(raised.value)


@pytest.mark.parametrize("address", ["a..b@c", ".a@b", "a.@b", "a@b..c", "a@.b", "a@b."])
def test_an_address_that_is_none_is_poison(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, address: str
) -> None:
    with pytest.raises(Poison) as raised:
        mailer.send(changed(invoice, customer={"email": address}))

    assert office.accepted == []
    assert address not in everything_said(raised.value)


ATOMS = st.text("aZ09.!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
LABELS = st.text("aZ09.-", min_size=1, max_size=20)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(local=ATOMS, domain=LABELS)
def test_an_address_gets_the_mail_alone_or_is_poison(
    mailer: Mailer, office: PostOffice, invoice: InvoiceIssued, local: str, domain: str
) -> None:
    address = f"{local}@{domain}"
    office.accepted.clear()
    try:
        mailer.send(changed(invoice, customer={"email": address}))
    except Poison as poison:
        assert "@" not in everything_said(poison)
    else:
        assert [envelope.rcpt_tos for envelope in office.accepted] == [[address]]


@pytest.mark.parametrize(
    "members",
    [
        {"order_id": "x\r\nBcc: eve@reader.example"},
        {"order_id": "x\n"},
        {"order_id": "x>"},
        {"order_id": ""},
        {"order_id": "o" * 65},
        {"invoice_number": "INV\nBcc: eve@reader.example"},
        {"invoice_number": "INV-1\n"},
        {"customer": {"email": "ada@reader.example\nBcc: eve@reader.example"}},
        {"customer": {"email": "ada@reader.example\n"}},
        {"customer": {"email": "ada @reader.example"}},
        {"customer": {"email": "ada@reader.example,eve@reader.example"}},
        {"customer": {"email": "<ada@reader.example>"}},
        {"customer": {"email": "(eve)ada@reader.example"}},
        {"customer": {"email": '"ada"@reader.example'}},
        {"customer": {"email": "ada@[127.0.0.1]"}},
        {"customer": {"email": "ada@[reader"}},
        {"customer": {"email": "adä@reader.example"}},
        {"customer": {"email": "ada\x00@reader.example"}},
        {"customer": {"email": f"{'a' * 250}@b.de"}},
        {"total": 50.3},
    ],
)
def test_an_event_with_what_could_break_a_header_is_no_event(
    invoice: InvoiceIssued, members: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as refused:
        changed(invoice, **members)

    assert "eve" not in str(refused.value)
