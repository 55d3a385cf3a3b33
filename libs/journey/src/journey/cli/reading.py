"""Where the commands read from."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import requests

from journey.files import Read, spans_from_file
from journey.formatting import plain
from journey.illegible import Illegible
from journey.otlp import spans_from_otlp
from journey.source import Recorded, Source, ZipkinSource
from journey.zipkin import NotZipkin
from journey.zipkin_json import spans_from_zipkin

MOST_NAMED: Final = 20


class CannotRead(click.ClickException):
    """There is nothing to look at, or no way to; exit code 2, like wrong usage."""

    exit_code = 2


class NotFound(click.ClickException):
    """There is no such trace; exit code 1."""


def default_zipkin() -> str:
    """Return ZIPKIN_URL, else where this machine's Zipkin listens."""
    return os.environ.get("ZIPKIN_URL") or f"http://127.0.0.1:{os.environ.get('ZIPKIN_PORT') or 9411}"


zipkin_option = click.option(
    "--zipkin", metavar="URL", default=default_zipkin, help="Zipkin; else ZIPKIN_URL, else http://127.0.0.1:9411."
)


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where traces are, as its argument `source`."""

    @zipkin_option
    @_files_option("--otlp", "OTLP in JSON, such as the Collector's audit files, answers of Jaeger's or Tempo's API.")
    @_files_option("--zipkin-file", "Zipkin's JSON, such as its page saves with Download JSON.")
    @functools.wraps(command)
    def with_source(zipkin: str, otlp: tuple[Path, ...], zipkin_file: tuple[Path, ...], **rest: Any) -> None:
        files = [(file, spans_from_otlp) for file in otlp] + [(file, spans_from_zipkin) for file in zipkin_file]
        source: Source = from_files(files) if files else ZipkinSource(zipkin)
        with answering(source):
            command(source=source, **rest)

    return with_source


def _files_option(name: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        name,
        metavar="FILE",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"Instead of Zipkin: {what} Several files are read together.",
    )


def from_files(files: Iterable[tuple[Path, Read]]) -> Recorded:
    """Read spans from files; what is not understood is named and left out."""
    left_out: dict[str, Illegible] = {}

    def leave_out(what: Illegible) -> None:
        left_out[what.says] = what

    spans = [span for file, read in files for span in spans_from_file(file, read, leave_out)]
    for says in islice(left_out, MOST_NAMED):
        click.echo(plain(says), err=True)
    if len(left_out) > MOST_NAMED:
        click.echo(f"and so on: {len(left_out)} in all are not understood, and left out", err=True)
    return Recorded(spans, left_out.values())


@contextmanager
def answering(source: Source) -> Iterator[None]:
    """End the command with one line where the source cannot be asked."""
    try:
        yield
    except requests.RequestException as error:
        raise CannotRead(unanswered(source, error)) from None


def unanswered(source: Source, error: requests.RequestException) -> str:
    """Say that a source does not answer, or not as it should, and what can be done."""
    answer = getattr(error.response, "status_code", None)
    if isinstance(error, NotZipkin):
        why = "answers, and not as Zipkin does. Is it Zipkin?"
    elif answer:
        why = f"answers {answer}. Is it Zipkin, and running?"
    else:
        why = f"does not answer ({type(error).__name__}). Is it running?"
    return f"{source.name} {why} --zipkin URL or ZIPKIN_URL names another, --otlp FILE reads files."
