import sys

from stack.settings import Settings


def command(settings: Settings) -> list[str]:
    """Run a mail server that keeps what it gets in a Maildir."""
    address = f"127.0.0.1:{settings.smtp_port}"
    handler = ["-c", "aiosmtpd.handlers.Mailbox", str(settings.mail_folder)]
    return [sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", address, *handler]


def prepare(settings: Settings) -> None:
    """Make the Maildir whole: the handler makes its three folders only where the Maildir itself is missing."""
    for folder in ("tmp", "new", "cur"):
        (settings.mail_folder / folder).mkdir(parents=True, exist_ok=True)
