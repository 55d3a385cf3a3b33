"""Against a real SMTP server on a loopback port of its own."""

import asyncio
import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller, UnixSocketController
from aiosmtpd.lmtp import LMTP as LMTPProtocol
from aiosmtpd.smtp import SMTP as SMTPProtocol
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from smtplib_otel import SMTPInstrumentor

SENDER = "shop@sender.example"
ADA = "ada@reader.example"
REFUSED = "refused@reader.example"
ALSO_REFUSED = "unknown@reader.example"
SECRET = "the-secret-of-ada"


class PostOffice:
    """Decide about recipients and content as the addresses and `answer` say; quote them in every refusal."""

    def __init__(self) -> None:
        self.answer = "250 OK"
        self.drop = False
        self.accepted: list[Any] = []

    async def handle_RCPT(self, server: SMTPProtocol, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == REFUSED:
            return f"550 no mailbox {address}"
        if address == ALSO_REFUSED:
            return f"452 mailbox of {address} is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(self, server: SMTPProtocol, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == REFUSED:
            return f"553 not from {address}"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTPProtocol, session: Any, envelope: Any) -> str:
        if self.drop:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        self.accepted.append(envelope)
        return self.answer


class LoopbackServer(Controller):
    """Listen on a port that the operating system chose, so that two runs never want the same one."""

    def __init__(self, office: PostOffice, protocol: type[SMTPProtocol] = SMTPProtocol) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._protocol = protocol
        super().__init__(office, "127.0.0.1", self._listening.getsockname()[1])

    def factory(self) -> SMTPProtocol:
        return self._protocol(self.handler, **self.SMTP_kwargs)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


class PlainSMTPSSL(smtplib.SMTP_SSL):
    """SMTP_SSL but for the encryption, which would need a certificate."""

    _get_socket = smtplib.SMTP._get_socket  # type: ignore[attr-defined]


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


@pytest.fixture
def port(office: PostOffice) -> Iterator[int]:
    server = LoopbackServer(office)
    server.start()
    yield server.port
    server.stop()


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider()


@pytest.fixture
def exported(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    SMTPInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    if SMTPInstrumentor().is_instrumented_by_opentelemetry:
        SMTPInstrumentor().uninstrument()


def message(to: str = ADA) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, to, SECRET
    mail.set_content(SECRET)
    return mail


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_an_email_is_one_client_span(port: int, office: PostOffice, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.sendmail(SENDER, [ADA], SECRET)

    [span] = exported.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "send email",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert attributes(span) == {
        "service.peer.name": "smtp",
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.protocol.name": "smtp",
    }
    assert span.instrumentation_scope and span.instrumentation_scope.name == "smtplib_otel"
    assert len(office.accepted) == 1


def test_send_message_which_calls_sendmail_is_one_span_too(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.send_message(message())

    assert [span.name for span in exported.get_finished_spans()] == ["send email"]


def test_a_subclass_that_sends_in_its_own_way_is_one_span_as_long_as_it_calls_smtplib(
    port: int, office: PostOffice, exported: InMemorySpanExporter
) -> None:
    class Own(smtplib.SMTP):
        def deliver(self) -> None:
            self.sendmail(SENDER, [ADA], SECRET)

        def sendmail(self, *args: Any, **kwargs: Any) -> Any:
            return super().sendmail(*args, **kwargs)

    with Own("127.0.0.1", port) as server:
        server.deliver()
        server.send_message(message())

    assert [span.name for span in exported.get_finished_spans()] == ["send email"] * 2
    assert len(office.accepted) == 2


def test_each_email_of_one_connection_is_a_span(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        for _ in range(3):
            server.send_message(message())

    assert [span.name for span in exported.get_finished_spans()] == ["send email"] * 3


def test_the_current_span_is_the_parent(port: int, provider: TracerProvider, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        with provider.get_tracer("test").start_as_current_span("process invoices") as parent:
            server.send_message(message())
        server.send_message(message())

    child, _, root = exported.get_finished_spans()
    assert child.parent == parent.get_span_context()
    assert root.parent is None


def test_connecting_and_quitting_make_no_span(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.noop()

    assert exported.get_finished_spans() == ()


@pytest.mark.parametrize("given", ["apart", "together", "later", "by keyword", "as text"])
def test_the_server_is_known_however_it_was_given(given: str, port: int, exported: InMemorySpanExporter) -> None:
    if given == "apart":
        server = smtplib.SMTP("127.0.0.1", port)
    elif given == "together":
        server = smtplib.SMTP(f"127.0.0.1:{port}")
    elif given == "as text":
        server = smtplib.SMTP("127.0.0.1", str(port))  # type: ignore[arg-type]
    else:
        server = smtplib.SMTP()
        if given == "later":
            server.connect("127.0.0.1", port)
        else:
            server.connect(port=port, host="127.0.0.1")
    with server:
        server.send_message(message())

    [span] = exported.get_finished_spans()
    assert attributes(span)["server.address"] == "127.0.0.1"
    assert attributes(span)["server.port"] == port


def test_smtp_ssl_is_covered(port: int, exported: InMemorySpanExporter) -> None:
    with PlainSMTPSSL("127.0.0.1", port) as server:
        server.send_message(message())

    [span] = exported.get_finished_spans()
    assert attributes(span)["server.port"] == port


def test_lmtp_is_covered(office: PostOffice, exported: InMemorySpanExporter) -> None:
    listening = LoopbackServer(office, LMTPProtocol)
    listening.start()
    with smtplib.LMTP("127.0.0.1", listening.port) as server:
        server.send_message(message())
    listening.stop()

    [span] = exported.get_finished_spans()
    assert attributes(span)["network.protocol.name"] == "lmtp"
    assert attributes(span)["server.port"] == listening.port


def test_lmtp_on_a_unix_socket_has_its_path_and_no_port(
    office: PostOffice, exported: InMemorySpanExporter, tmp_path: Path
) -> None:
    class UnixServer(UnixSocketController):
        def factory(self) -> SMTPProtocol:
            return LMTPProtocol(self.handler, **self.SMTP_kwargs)

    path = str(tmp_path / "lmtp")
    listening = UnixServer(office, path)
    listening.start()
    with smtplib.LMTP(path) as server:
        server.send_message(message())
    listening.stop()

    [span] = exported.get_finished_spans()
    assert attributes(span)["server.address"] == path
    assert "server.port" not in attributes(span)


def test_a_refused_recipient_is_an_error_with_its_code(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server, pytest.raises(smtplib.SMTPRecipientsRefused) as raised:
        server.send_message(message(to=REFUSED))

    [span] = exported.get_finished_spans()
    assert REFUSED in str(raised.value)  # why the text is not recorded
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert attributes(span)["error.type"] == "smtplib.SMTPRecipientsRefused"
    assert attributes(span)["smtp.response.status_code"] == 550
    assert attributes(span)["smtp.recipients.refused"] == 1
    [event] = span.events
    assert (event.name, dict(event.attributes or {})) == (
        "exception",
        {"exception.type": "smtplib.SMTPRecipientsRefused"},
    )


def test_recipients_refused_with_different_codes_are_counted_only(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server, pytest.raises(smtplib.SMTPRecipientsRefused):
        server.sendmail(SENDER, [REFUSED, ALSO_REFUSED], SECRET)

    [span] = exported.get_finished_spans()
    assert attributes(span)["smtp.recipients.refused"] == 2
    assert "smtp.response.status_code" not in attributes(span)


def test_a_partial_refusal_is_counted_and_no_error(port: int, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        refused = server.sendmail(SENDER, [ADA, REFUSED, ALSO_REFUSED], SECRET)

    [span] = exported.get_finished_spans()
    assert set(refused) == {REFUSED, ALSO_REFUSED}
    assert attributes(span)["smtp.recipients.refused"] == 2
    assert span.status.status_code is StatusCode.UNSET


def test_refused_content_is_an_error_with_its_code(
    port: int, office: PostOffice, exported: InMemorySpanExporter
) -> None:
    office.answer = f"554 {ADA} does not want {SECRET}"
    with smtplib.SMTP("127.0.0.1", port) as server, pytest.raises(smtplib.SMTPDataError):
        server.send_message(message())

    [span] = exported.get_finished_spans()
    assert attributes(span)["error.type"] == "smtplib.SMTPDataError"
    assert attributes(span)["smtp.response.status_code"] == 554


def test_a_dropped_connection_is_an_error_and_the_server_is_still_known(
    port: int, office: PostOffice, exported: InMemorySpanExporter
) -> None:
    office.drop = True
    server = smtplib.SMTP("127.0.0.1", port)
    for _ in range(2):  # the second finds the connection gone
        with pytest.raises(smtplib.SMTPServerDisconnected):
            server.send_message(message())

    for span in exported.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == "smtplib.SMTPServerDisconnected"
        assert attributes(span)["server.port"] == port
        assert "smtp.response.status_code" not in attributes(span)
    assert len(exported.get_finished_spans()) == 2


def test_an_email_that_fails_before_it_is_sent_is_an_error(port: int, exported: InMemorySpanExporter) -> None:
    mail = message()
    mail["Resent-Date"] = mail["Resent-Date"] = "Sun, 22 Nov 2026 12:00:00 +0000"
    with smtplib.SMTP("127.0.0.1", port) as server, pytest.raises(ValueError):
        server.send_message(mail)

    [span] = exported.get_finished_spans()
    assert attributes(span)["error.type"] == "ValueError"


def test_no_span_holds_an_address_or_a_word_of_the_message(
    port: int, office: PostOffice, provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.send_message(message())
        server.sendmail(SENDER, [ADA, REFUSED], SECRET)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            server.sendmail("shop@sender.example", ["refused@reader.example"], "the-secret-of-ada")
        with pytest.raises(smtplib.SMTPSenderRefused):
            server.sendmail(REFUSED, [ADA], SECRET)
        with pytest.raises(UnicodeEncodeError):
            server.sendmail(SENDER, [ADA], f"{SECRET} é")
        office.answer = f"554 {ADA} does not want {SECRET}"
        with pytest.raises(smtplib.SMTPDataError):
            server.send_message(message())

    spans = exported.get_finished_spans()
    assert len(spans) == 6
    for text in (span.to_json() for span in spans):
        assert "@" not in text
        assert "example" not in text
        assert SECRET not in text


def test_suppression_is_honoured(port: int, office: PostOffice, exported: InMemorySpanExporter) -> None:
    with smtplib.SMTP("127.0.0.1", port) as server, suppress_instrumentation():
        server.send_message(message())

    assert exported.get_finished_spans() == ()
    assert len(office.accepted) == 1


def test_uninstrument_restores_smtplib(port: int, office: PostOffice, exported: InMemorySpanExporter) -> None:
    names = [
        (smtplib.SMTP, "connect"),
        (smtplib.LMTP, "connect"),
        (smtplib.SMTP, "send_message"),
        (smtplib.SMTP, "sendmail"),
    ]
    instrumented = [vars(owner)[name] for owner, name in names]
    SMTPInstrumentor().uninstrument()
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.send_message(message())

    assert [vars(owner)[name] for owner, name in names] == [wrapper.__wrapped__ for wrapper in instrumented]
    assert exported.get_finished_spans() == ()
    assert len(office.accepted) == 1


def test_a_connection_older_than_the_instrumentation_has_spans_without_a_server(
    port: int, exported: InMemorySpanExporter, provider: TracerProvider
) -> None:
    SMTPInstrumentor().uninstrument()
    with smtplib.SMTP("127.0.0.1", port) as server:
        SMTPInstrumentor().instrument(tracer_provider=provider)
        server.send_message(message())

    [span] = exported.get_finished_spans()
    assert attributes(span) == {"service.peer.name": "smtp", "network.protocol.name": "smtp"}


def test_opentelemetry_instrument_finds_it() -> None:
    [entry] = entry_points(group="opentelemetry_instrumentor", name="smtplib_otel")

    assert entry.load() is SMTPInstrumentor


def test_the_example_of_the_readme_works(port: int, exported: InMemorySpanExporter, provider: TracerProvider) -> None:
    SMTPInstrumentor().uninstrument()
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0].replace("1025", str(port))
    example = example.replace("instrument()", "instrument(tracer_provider=provider)")
    exec(example, {"provider": provider})

    assert [span.name for span in exported.get_finished_spans()] == ["send email"]


class FailsAtStart(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("no span today")


class FailsAtEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("no end today")


@pytest.mark.parametrize("failing", [FailsAtStart, FailsAtEnd])
def test_a_tracer_that_fails_costs_no_email_and_makes_no_second_one(
    failing: type[SpanProcessor],
    port: int,
    office: PostOffice,
    provider: TracerProvider,
    exported: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider.add_span_processor(failing())
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.send_message(message())

    assert len(office.accepted) == 1
    assert "today" in caplog.text


def test_an_error_stays_that_of_smtplib_if_the_tracer_fails_too(
    port: int, provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    provider.add_span_processor(FailsAtEnd())
    with smtplib.SMTP("127.0.0.1", port) as server, pytest.raises(smtplib.SMTPRecipientsRefused):
        server.send_message(message(REFUSED))


def test_a_host_or_port_that_only_a_socket_understands_costs_no_connection(
    port: int, office: PostOffice, exported: InMemorySpanExporter
) -> None:
    server = smtplib.SMTP()
    server.connect(None, port)  # type: ignore[arg-type]
    with server:
        server.send_message(message())

    assert len(office.accepted) == 1
    assert "server.address" not in attributes(exported.get_finished_spans()[0])
