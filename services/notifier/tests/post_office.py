"""A real mail server (aiosmtpd) on a loopback port, and what it was given."""

import asyncio
import socket
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class PostOffice:
    """Answer to RCPT and to DATA as told; each answer quotes the recipient, as mail servers do."""

    def __init__(self) -> None:
        self.to_recipient = "250 OK"
        self.to_content = "250 OK"
        self.to_sender = "250 OK"
        self.silent = False
        self.accepted: list[Envelope] = []

    async def handle_MAIL(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:
        envelope.mail_from = address
        return self.to_sender

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return f"{self.to_recipient} {address}"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.silent:
            await asyncio.Event().wait()
        if self.to_content.startswith("250"):
            self.accepted.append(envelope)
        return f"{self.to_content} {envelope.rcpt_tos[0]}"

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
        super().connection_made(transport)
        self._opened = transport
        self._server.opened += 1
        self._server.open.append(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # The socket itself is closed right after this call.
        asyncio.get_running_loop().call_soon(self._server.open.remove, self._opened)


class MailServer(Controller):
    """aiosmtpd on a port that the operating system chose, or on *port*."""

    def __init__(self, office: PostOffice, port: int = 0) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.opened = 0
        self.open: list[asyncio.BaseTransport] = []
        super().__init__(office, "127.0.0.1", self._listening.getsockname()[1])

    def factory(self) -> SMTP:
        return Connection(self, **self.SMTP_kwargs)

    def start(self) -> None:
        super().start()
        until("the probe of aiosmtpd's start is gone", lambda: not self.open)
        self.opened = 0

    def hang_up(self) -> None:
        """Close the connections from this side, as a server does that has waited too long."""
        for transport in self.open:
            self.loop.call_soon_threadsafe(transport.close)
        until("the mail server has hung up", lambda: not self.open)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


def until(what: str, happened: Callable[[], bool]) -> None:
    """Wait until *happened*, at most 10 s."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, f"waited 10 s until {what}"
        time.sleep(0.001)
