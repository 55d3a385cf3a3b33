"""A declared chain in a file."""

import tomllib
from pathlib import Path
from typing import Any

from journey.chain import Row

KINDS = ("SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL")


def read_chain(file: Path) -> tuple[Row, ...]:
    """Read a chain from TOML: a `[[row]]` for each span with service, kind, name, and parent where it is no root.

    Rows are numbered from 1; a row's parent is the number of one before it. ValueError says what is wrong and where.
    """
    content = _content(file)
    rows = content.get("row", [])
    if not isinstance(rows, list) or not (rows or "ends" in content):
        raise ValueError(f"{file} has no [[row]]")
    return tuple(_row(file, number, each) for number, each in enumerate(rows, 1))


def read_ends(file: Path) -> tuple[str, ...]:
    """Read from the same file `ends`, the topics that nobody need read. ValueError where it is no list of texts."""
    ends = _content(file).get("ends", [])
    if not isinstance(ends, list) or not all(isinstance(topic, str) and topic for topic in ends):
        raise ValueError(f'{file}: ends is a list of topics, such as ends = ["shipments"]')
    return tuple(ends)


def _content(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from error
    if unknown := content.keys() - {"row", "ends"}:
        raise ValueError(f"{file} has {', '.join(sorted(unknown))}; it may have ends and [[row]]")
    return content


def _row(file: Path, number: int, content: Any) -> Row:
    where = f"{file}, row {number}"
    if not isinstance(content, dict):
        raise ValueError(f"{where} is no table: write [[row]]")
    if "ends" in content:
        raise ValueError(f"{where} has ends, which stands above the first [[row]]")
    if unknown := content.keys() - {"service", "kind", "name", "parent"}:
        raise ValueError(f"{where} has {', '.join(sorted(unknown))}; it may have service, kind, name and parent")
    texts = [content.get(name) for name in ("service", "kind", "name")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{where} needs service, kind and name, each a text")
    service, kind, name = map(str, texts)
    if kind.upper() not in KINDS:
        raise ValueError(f"{where}: kind {kind} is none of {', '.join(KINDS)}")
    parent = content.get("parent")
    if parent is not None and not (type(parent) is int and 0 < parent < number):
        raise ValueError(f"{where}: parent is the number of a row before it")
    return Row(number, service, kind.upper(), name, parent)
