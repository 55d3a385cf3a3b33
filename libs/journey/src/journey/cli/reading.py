"""Where the commands read from."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import requests

from journey.otlp import spans_from_file
from journey.source import Recorded, Source, ZipkinSource


class CannotLook(click.ClickException):
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
    @click.option(
        "--otlp",
        "files",
        metavar="FILE",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Instead of Zipkin: OTLP in JSON lines, such as the Collector's audit files. Several are read together.",
    )
    @functools.wraps(command)
    def with_source(zipkin: str, files: tuple[Path, ...], **rest: Any) -> None:
        source: Source = from_files(files) if files else ZipkinSource(zipkin)
        with answering(source):
            command(source=source, **rest)

    return with_source


def from_files(files: tuple[Path, ...]) -> Recorded:
    """Read spans from files; a damaged line is named and left out."""
    return Recorded(span for file in files for span in spans_from_file(file, lambda text: click.echo(text, err=True)))


@contextmanager
def answering(source: Source) -> Iterator[None]:
    """End the command with one line where the source cannot be asked."""
    try:
        yield
    except requests.RequestException as error:
        raise CannotLook(unanswered(source, error)) from None


def unanswered(source: Source, error: requests.RequestException) -> str:
    """Say that a source does not answer, and what can be done."""
    answer = getattr(error.response, "status_code", None)
    why = f"answers {answer}" if answer else f"does not answer ({type(error).__name__})"
    return f"{source.name} {why}. Is it running? --zipkin URL or ZIPKIN_URL names another, --otlp FILE reads files."
