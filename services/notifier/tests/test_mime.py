"""E-mails as the standard library reads them: what EmailMessage would have written."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.mime import alternative

HEADERS = {
    "To": "ada@reader.example",
    "From": "billing@shop.example",
    "Subject": "Invoice INV-00000042",
    "Date": "Wed, 04 Mar 2026 05:06:07 +0000",
    "Message-ID": "<1.invoice@shop.example>",
}


def by_the_library(plain: str, html: str) -> EmailMessage:
    mail = EmailMessage(policy.SMTP)
    for name, value in HEADERS.items():
        mail[name] = value
    mail.set_content(plain)
    mail.add_alternative(html, subtype="html")
    return mail


def read(content: bytes) -> EmailMessage:
    mail = message_from_bytes(content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def said(mail: EmailMessage) -> list[tuple[str, object]]:
    """All that a reader gets, but for how it is encoded and what the boundary is."""
    parts = list(mail.walk())
    assert not any(part.defects for part in parts)
    return [
        *((name, str(value)) for name, value in mail.items() if name != "Content-Type"),
        *((part.get_content_type(), part.get_content_charset()) for part in parts),
        *(("body", str(part.get_content()).replace("\r\n", "\n")) for part in parts[1:]),
    ]


# Texts as a hostile article could make them, beside any other.
PIECES = [
    "\r",
    "\n",
    "\r\n",
    ".",
    "..",
    " ",
    "\t",
    "=",
    "=_",
    "--=_alternative",
    "--",
    "--=_alternative--",
    "From ",
    "\0",
]
PIECES += [
    "ä",
    "紙",
    "🗞",
    "x" * 75,
    "x" * 76,
    "x" * 77,
    "x" * 79,
    "x" * 2000,
    "紙" * 400,
    "\x0c",
    "\x7f",
    "\x85",
    "\u2028",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=12).map("".join)


@settings(deadline=None, max_examples=200)
@given(plain=TEXTS, html=TEXTS)
@example(plain="", html="")
@example(plain="\n\n", html=".\r\n.\r\n")
@example(plain="a\n--=_alternative\n\nb", html="a\n--=_alternative--\n")
@example(plain="trailing \n blanks\t\n", html=" " * 100)
def test_whatever_the_bodies_are_they_are_read_as_if_the_library_had_written_them(plain: str, html: str) -> None:
    content = alternative(HEADERS, plain, html)

    assert said(read(content)) == said(read(bytes(by_the_library(plain, html))))


@settings(deadline=None, max_examples=200)
@given(plain=TEXTS, html=TEXTS)
def test_whatever_the_bodies_are_any_mail_server_can_pass_the_email_on(plain: str, html: str) -> None:
    lines = alternative(HEADERS, plain, html).split(b"\r\n")

    assert max(map(len, lines)) <= 78
    assert set(b"".join(lines)) <= {*range(32, 127), 9}


def test_a_body_that_anyone_can_read_as_it_is_is_not_encoded() -> None:
    body = "Thank you.\n\n2 x 19.90 = 39.80\n"

    assert body.replace("\n", "\r\n").encode() in alternative(HEADERS, body, "<p>")


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@reader.example", "a\n", "a\r", "a\0", "a\tb", "ä", "x" * 1000])
def test_a_header_that_is_not_one_line_of_printable_ascii_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        alternative({**HEADERS, "Subject": value}, "plain", "html")
