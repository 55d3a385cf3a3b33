"""How dead letters are shown: a table and pages for people, one JSON object a line for programs."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from eventbus.operator.dlq.letters import Letter

ERROR_LENGTH = 120

_COLUMNS: Mapping[str, tuple[int, Callable[[Letter], str | None]]] = {
    "TOPIC": (14, lambda letter: letter.record.topic),
    "AT": (7, lambda letter: "{}:{}".format(*letter.position)),
    "ORDER": (36, lambda letter: _text(letter.record.key)),
    "TRIES": (5, lambda letter: letter.about("attempts")),
    "FIRST FAILED": (19, lambda letter: (letter.about("first-failed-at") or "-")[:19]),
    "FROM": (8, lambda letter: letter.about("original-topic")),
    "DONE": (8, lambda letter: letter.done.resolution if letter.done else None),
    "ERROR": (0, lambda letter: _error(letter)),
}


def heading(*, done: bool) -> str:
    """Return the heading of the table."""
    return _row({name: name for name in _COLUMNS}, done=done)


def line(letter: Letter, *, done: bool) -> str:
    """Return the letter's line of the table; *done* adds what was done with it."""
    return _row({name: column(letter) or "-" for name, (_, column) in _COLUMNS.items()}, done=done)


def _row(cells: Mapping[str, str], *, done: bool) -> str:
    return "  ".join(
        printable(cells[name]).ljust(width) for name, (width, _) in _COLUMNS.items() if done or name != "DONE"
    ).rstrip()


def summary(error_types: "Counter[str]") -> str:
    """Return how many letters there are of each error type."""
    return f"{letters(error_types.total())}: " + ", ".join(
        f"{n} {printable(name)}" for name, n in error_types.most_common()
    )


def _error(letter: Letter) -> str:
    return f"{letter.error or '-'}: {letter.about('error-message') or '-'}"[:ERROR_LENGTH]


def letters(count: int) -> str:
    """Return the number with its noun."""
    return f"{count} letter" if count == 1 else f"{count} letters"


def page(letter: Letter, *, value: bool) -> str:
    """Return all about a letter; its value, which may hold personal data, only where that is asked for."""
    content = letter.record.value
    rows = [
        letter.place,
        f"  order: {printable(_text(letter.record.key) or '-')}",
        *([f"  {letter.done.resolution}: {printable(letter.done.at)}"] if letter.done else []),
        *(f"  {printable(name)}: {printable(_text(header) or '-')}" for name, header in letter.record.headers),
    ]
    if content is None:
        rows.append("  no value")
    elif value:
        rows.append(f"  value: {printable(_text(content) or '')}")
    else:
        rows.append(f"  value: {len(content)} bytes (--value shows them)")
    return "\n".join(rows)


def as_json(letter: Letter) -> str:
    """Return what `list` tells of a letter, as one line of JSON."""
    return json.dumps(_about(letter))


def as_json_page(letter: Letter, *, value: bool) -> str:
    """Return what `show` tells of a letter, as one line of JSON; bytes that are not UTF-8 as ``{"base64": …}``."""
    about = _about(letter) | {"headers": [[name, _json(header)] for name, header in letter.record.headers]}
    if value:
        about["value"] = _json(letter.record.value)
    return json.dumps(about)


def _about(letter: Letter) -> dict[str, Any]:
    attempts = letter.about("attempts") or ""
    return {
        "topic": letter.record.topic,
        "partition": letter.record.partition,
        "offset": letter.record.offset,
        "order": _json(letter.record.key),
        "error_type": letter.about("error-type"),
        "error_message": letter.about("error-message"),
        "attempts": int(attempts) if attempts.isdecimal() else None,
        "first_failed_at": letter.about("first-failed-at"),
        "original_topic": letter.about("original-topic"),
        "trace_id": letter.trace_id,
        "done": letter.done.resolution if letter.done else None,
        "done_at": letter.done.at if letter.done else None,
    }


def _json(content: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content or b"").decode()}


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def printable(text: str) -> str:
    """Return *text* without what would steer a terminal: keys and headers come from anybody."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
