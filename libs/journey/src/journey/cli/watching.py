"""`journey watch`."""

import time

import click
import requests

from journey import as_json
from journey.cli.reading import unanswered, zipkin_option
from journey.cli.terminal import Terminal, coloured
from journey.draw import draw
from journey.source import ZipkinSource
from journey.trace import Trace
from journey.watching import Watching
from journey.zipkin import search

EVERY = 0.5  # seconds between two looks
BACK = 15 * 60.0  # seconds: a trace that began before is not looked at any more
MOST = 500  # traces a look


@click.command()
@zipkin_option
@click.option("--service", metavar="NAME", help="Only traces that this service has a part in.")
@click.option("--json", "json", is_flag=True, help="One JSON object a trace, one a line.")
@coloured
def watch(zipkin: str, service: str | None, json: bool, colour: bool | None) -> None:
    """Draw each new trace when it has settled, and again when it grows later, as with a retry. Ctrl-C ends it.

    Traces are followed for 15 minutes after their start, the latest 500.
    """
    terminal, source, watching = Terminal(colour), ZipkinSource(zipkin), Watching()
    begun = away = False
    try:
        while True:
            try:
                traces = search(source.url, service=service, seconds=BACK, limit=MOST)[::-1]
            except requests.RequestException as error:
                if not away:
                    click.echo(f"{unanswered(source, error)} Looking again until it does.", err=True)
                away = True
            else:
                if not begun:
                    click.echo(f"following {source.name}, Ctrl-C ends it", err=True)
                begun, away = True, False
                for trace, again in list(watching.look(traces, time.monotonic())):
                    _show(terminal, trace, again=again, json=json)
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return


def _show(terminal: Terminal, trace: Trace, *, again: bool, json: bool) -> None:
    if json:
        terminal.say(as_json.of_trace(trace))
    else:
        terminal.say(("more has come:\n" if again else "") + draw(trace, terminal.width, paint=terminal.paint) + "\n")
