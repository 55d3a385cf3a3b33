"""The mail server of a run: it delivers into the stack's Maildir, and refuses, hangs or goes away when told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.notifier.tests.post_office import MailServer, PostOffice


class Post:
    """A mail server on one port, for as long as the `with` block lasts."""

    def __init__(self, port: int, folder: Path) -> None:
        self._office = _Office(folder)
        self._port = port

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse every e-mail for now (451)."""
        self._office.to_content = "451 try again later"
        try:
            yield
        finally:
            self._office.to_content = "250 OK"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Take e-mails, say nothing and deliver none."""
        self._office.silent = True
        try:
            yield
        finally:
            self._office.silent = False
            self._server.hang_up()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Be away: connections are closed, new ones refused."""
        self._server.stop()
        try:
            yield
        finally:
            self._open()

    def _open(self) -> None:
        self._server = MailServer(self._office, self._port)
        self._server.start()


class _Office(PostOffice):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._tmp, self._new = (folder / name for name in ("tmp", "new"))
        for each in (self._tmp, self._new):
            each.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> Any:
        answer = await super().handle_DATA(server, session, envelope)
        while self.accepted:
            name = token_hex(16)
            # Without a sync to disk: this server is never killed.
            (self._tmp / name).write_bytes(self.accepted.pop().original_content or b"")
            (self._tmp / name).rename(self._new / name)
        return answer
