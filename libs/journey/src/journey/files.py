"""JSON in files, as people have it: a document a line or over many lines, with and without a byte order mark."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import StringIO, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, Final

from journey.illegible import Illegible, LeaveOut
from journey.trace import Span

Read = Callable[[Any, LeaveOut], Iterator[Span]]
_CONTENT: Final = re.compile(r"\S")
_NO_TEXT: Final = re.compile("[\udc80-\udcff]")
_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def spans_from_file(file: Path, read: Read, left_out: LeaveOut) -> Iterator[Span]:
    """Read the spans of a file; `left_out` is told of what is not understood, with its place."""
    for line, document in _documents(file, left_out):

        def with_place(what: Illegible, line: int = line) -> None:
            left_out(replace(what, says=f"{file}, line {line}, {what.says}, and left out"))

        yield from read(document, with_place)


def _documents(file: Path, left_out: LeaveOut) -> Iterator[tuple[int, Any]]:
    """Go through the documents, each with the line that it begins in. The file is read once: it may be a pipe."""
    with file.open("rb") as content:
        encoding = _MARKS.get(content.peek(2)[:2], "utf-8-sig")
        # Of UTF-8 the bytes that are no text are marked: the Collector writes what it was sent.
        lines = TextIOWrapper(content, encoding, errors="replace" if encoding == "utf-16" else "surrogateescape")
        blank = 0
        for first in lines:
            if first.strip():
                break
            blank += 1
        else:
            return
        if _is_json(first):
            yield from _by_lines(file, enumerate(chain([first], lines), blank + 1), left_out)
            return
        text = first + lines.read()
        documents = list(_over_lines(file, text, blank, left_out))
        yield from documents or _by_lines(file, enumerate(StringIO(text), blank + 1), left_out)


def _by_lines(file: Path, lines: Iterable[tuple[int, str]], left_out: LeaveOut) -> Iterator[tuple[int, Any]]:
    since = number = 0
    for number, line in lines:
        if not line.strip():
            continue
        try:
            document = json.loads(_legible(line))
        except (ValueError, RecursionError):
            since = since or number
            continue
        if since:
            left_out(_no_json(file, since, number - 1))
        since = 0
        if _NO_TEXT.search(line):
            left_out(_no_text(file, number))
        yield number, document
    if since:
        left_out(_no_json(file, since, number))


def _over_lines(file: Path, text: str, before: int, left_out: LeaveOut) -> Iterator[tuple[int, Any]]:
    """Go through documents that follow each other in any layout, as long as they are JSON."""
    decoder = json.JSONDecoder()
    line, counted, end, legible = before + 1, 0, 0, _legible(text)
    while found := _CONTENT.search(text, end):
        line, counted = line + text.count("\n", counted, found.start()), found.start()
        try:
            document, end = decoder.raw_decode(legible, found.start())
        except (ValueError, RecursionError):
            if end:
                left_out(_no_json(file, line, line + text.rstrip().count("\n", found.start())))
            return
        if damaged := _NO_TEXT.search(text, found.start(), end):
            left_out(_no_text(file, line + text.count("\n", found.start(), damaged.start())))
        yield line, document


def _legible(text: str) -> str:
    """Return text in which a replacement character stands for each byte that is no text."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def _no_text(file: Path, line: int) -> Illegible:
    return Illegible(f"{file}, line {line}, has bytes that are no UTF-8, and is read without them")


def _no_json(file: Path, first: int, last: int) -> Illegible:
    place = f"line {first}, is" if first == last else f"lines {first} to {last}, are"
    return Illegible(f"{file}, {place} no JSON, and left out")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
