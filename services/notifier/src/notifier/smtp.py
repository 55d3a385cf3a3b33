"""A connection to a mail server that waits for as few answers as the server allows."""

import math
import smtplib
import time
from collections.abc import Sequence
from contextlib import suppress

# RFC 5321, 4.2.3: the server will close the connection, whatever was asked of it.
CLOSING = 421
_RECIPIENT_TAKEN = (250, 251)


class ServerGone(smtplib.SMTPServerDisconnected):
    """The server closed the connection before it answered anything to this e-mail: it has no word of its content."""


class Connection(smtplib.SMTP):
    """Sends MAIL, RCPT and DATA in one write if the server offers PIPELINING (RFC 2920).

    The rest is smtplib's: `sendmail` with its exceptions, and what instruments it.
    """

    used_at = -math.inf  # by the monotonic clock
    _recipient: str | None = None
    _ahead = 0  # commands that were sent ahead of time and have no answer yet

    def deliver(self, sender: str, recipient: str, content: bytes) -> None:
        """Hand one e-mail to the server, which has it when this returns.

        Raises ServerGone, or what `sendmail` raises.
        """
        self._recipient = recipient
        self.used_at = time.monotonic()
        try:
            self.sendmail(sender, [recipient], content)
        finally:
            self._recipient = None

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Begin an e-mail."""
        try:
            return super().mail(sender, options)
        except smtplib.SMTPServerDisconnected as error:
            if isinstance(error.__context__, TimeoutError):  # it may still be there
                raise
            raise ServerGone("the server closed the connection before this e-mail") from None

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Name a recipient."""
        return self.getreply() if self._ahead else super().rcpt(recip, options)

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command, and with MAIL the next two; DATA is not sent again when smtplib comes to it."""
        if self._ahead:
            return
        if cmd == "mail" and self._recipient is not None and self.has_extn("pipelining"):
            if any(character in args + self._recipient for character in "\r\n"):
                raise ValueError("an address has a line break")
            self.send(f"mail {args}\r\nrcpt TO:<{self._recipient}>\r\ndata\r\n")
            self._ahead = 3
        else:
            super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        """Read the next answer. After one that is not SMTP nobody knows what the next one answers: hang up."""
        self._ahead = max(0, self._ahead - 1)
        code, text = super().getreply()
        if code == -1:
            self.close()
        return code, text

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        """Send the content. If the server does not want it, this e-mail is over (smtplib would leave it begun)."""
        try:
            return super().data(msg)
        except smtplib.SMTPDataError as refusal:
            if refusal.smtp_code == CLOSING:
                self.close()
            else:
                with suppress(smtplib.SMTPServerDisconnected):
                    self.rset()
            raise

    def rset(self) -> tuple[int, bytes]:
        """Give the e-mail up, also if the server already waits for its content (RFC 2920, 3.1)."""
        codes = []
        while self._ahead:
            codes.append(self.getreply()[0])
        if 354 in codes:
            if any(code in _RECIPIENT_TAKEN for code in codes):
                self.close()  # this one would get an empty e-mail
            else:
                self.send(".\r\n")
                self.getreply()
        return super().rset()

    def close(self) -> None:
        """Hang up."""
        self._ahead = 0
        super().close()
