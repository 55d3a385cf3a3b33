"""Times, numbers and foreign text as people read them."""

from datetime import UTC, datetime


def lasting(microseconds: float | None) -> str:
    """Say a duration with a fitting unit."""
    if microseconds is None:
        return "?"
    if microseconds < 0:
        return f"-{lasting(-microseconds)}"
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    if microseconds < 60_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    return f"{microseconds // 60_000_000:.0f} min {microseconds // 1_000_000 % 60:.0f} s"


def moment(microseconds: float) -> str:
    """Say a time since the epoch: to the second, in UTC."""
    try:
        return f"{datetime.fromtimestamp(microseconds / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time that is none"


def count(number: int, thing: str) -> str:
    """Say how many, like "1 span" and "2 spans"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def cut(text: str, length: int) -> str:
    """Return at most `length` characters of a text, and show that there were more."""
    return text if len(text) <= length else text[: length - 1] + "…"


def plain(text: str) -> str:
    """Return text from outside without line breaks and terminal commands."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
