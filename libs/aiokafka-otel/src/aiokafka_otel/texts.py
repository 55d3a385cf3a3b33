"""Texts of anybody's that go on a span: a text that UTF-8 cannot encode would cost all spans of its export."""


def encodable(text: str) -> str:
    """Return the text with escapes in place of lone surrogates, which `surrogateescape` and JSON can leave behind."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
