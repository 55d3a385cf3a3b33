"""A real mail server (aiosmtpd) on a loopback port, and what it was given."""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class PostOffice:
    """Answer to MAIL, RCPT, DATA and content as told; each answer quotes the recipient, as mail servers do."""

    def __init__(self, *offers: str) -> None:
        self.offers = offers  # the extensions of SMTP that EHLO is told of
        self.to_recipient = "250 OK"
        self.to_content = "250 OK"
        self.to_sender = "250 OK"
        self.to_data = ""  # as aiosmtpd answers
        self.careless = False  # takes recipients and content also after a sender that it has refused
        self.breaks_off_at = ""  # "MAIL", "RCPT" or "content": the connection ends in place of the answer
        self.silent = False  # when it has the content
        self.silent_at_sender = False
        self.waits_for: asyncio.Barrier | None = None  # so many e-mails have to be on their way at the same time
        self.accepted: list[Envelope] = []

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, name: str, answers: list[str]
    ) -> list[str]:
        session.host_name = name
        return [answers[0], *(f"250-{each}" for each in self.offers), *answers[1:]]

    async def handle_MAIL(self, server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:
        if self.silent_at_sender:
            await asyncio.Event().wait()
        self._break_off("MAIL", server)
        if self.careless or self.to_sender.startswith("250"):
            envelope.mail_from = address
        return self.to_sender

    async def handle_RCPT(self, server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:
        self._break_off("RCPT", server)
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return f"{self.to_recipient} {address}"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.silent:
            await asyncio.Event().wait()
        if self.waits_for is not None:
            await self.waits_for.wait()
        if self.to_content.startswith("250"):
            self.accepted.append(envelope)
        self._break_off("content", server)
        return f"{self.to_content} {envelope.rcpt_tos[0]}"

    def _break_off(self, here: str, server: SMTP) -> None:
        if here == self.breaks_off_at:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()

    @property
    def mails(self) -> list[EmailMessage]:
        """What was accepted, read as a mail program reads it."""
        read = [
            message_from_bytes(envelope.original_content or b"", policy=policy.default) for envelope in self.accepted
        ]
        return [mail for mail in read if isinstance(mail, EmailMessage)]


class Connection(SMTP):
    """One connection, kept in its server's list for as long as it is open."""

    def __init__(self, server: "MailServer", **settings: Any) -> None:
        super().__init__(server.handler, **settings)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._opened = transport
        self._server.opened += 1
        self._server.open.append(transport)

    def data_received(self, data: bytes) -> None:
        self._server.heard.append(data)
        super().data_received(data)

    async def smtp_DATA(self, arg: str) -> None:
        answer = self._server.office.to_data
        if answer.startswith("354"):  # as a server does that looks at the recipients only when it has the content
            await self.push(answer)
            content = await self._reader.readuntil(b".\r\n")
            self._server.for_nobody.append(content)
            await self.push("554 no valid recipients")
        elif answer:
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # The socket itself is closed right after this call.
        asyncio.get_running_loop().call_soon(self._server.open.remove, self._opened)


class MailServer(Controller):
    """aiosmtpd on a port that the operating system chose, or on *port*."""

    def __init__(self, office: PostOffice, port: int = 0) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.opened = 0
        self.office = office
        self.open: list[asyncio.Transport] = []
        # What came last, as it came: what a client sends without waiting for an answer is one packet.
        self.heard: deque[bytes] = deque(maxlen=100)
        self.for_nobody: list[bytes] = []  # content after DATA that was taken without a recipient
        super().__init__(office, "127.0.0.1", self._listening.getsockname()[1])

    def factory(self) -> SMTP:
        return Connection(self, **self.SMTP_kwargs)

    def start(self) -> None:
        super().start()
        until("the probe of aiosmtpd's start is gone", lambda: not self.open)
        self.opened = 0
        self.heard.clear()

    def hang_up(self, last_words: bytes = b"") -> None:
        """Close the connections from this side, as a server does that has waited too long."""

        def close(transport: asyncio.Transport) -> None:
            transport.write(last_words)
            transport.close()

        for transport in self.open:
            self.loop.call_soon_threadsafe(close, transport)
        until("the mail server has hung up", lambda: not self.open)

    def conversation(self) -> list[str]:
        """Return what came since the last call, packet by packet: the commands of each, or "content"."""
        packets = [self.heard.popleft() for _ in range(len(self.heard))]
        return [
            "content" if b"\r\n.\r\n" in packet else " ".join(line[:4].decode().upper() for line in packet.splitlines())
            for packet in packets
        ]

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


def until(what: str, happened: Callable[[], bool]) -> None:
    """Wait until *happened*, at most 10 s."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, f"waited 10 s until {what}"
        time.sleep(0.001)
