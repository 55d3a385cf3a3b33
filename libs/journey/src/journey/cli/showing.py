"""`journey show`."""

import click

from journey import as_json
from journey.cli.reading import NotFound, reading
from journey.cli.terminal import Terminal, coloured
from journey.draw import draw
from journey.formatting import plain
from journey.lookup import find, trace_id_of
from journey.source import Source

EPILOG = """\
ID is a trace id, a traceparent, the address of a trace's page, the key of a message (an order's id), or a tag like
http.route=/orders.

Exit codes: 0 shown; 1 not there; 2 wrong usage, or Zipkin cannot be asked."""


@click.command(epilog=EPILOG)
@click.argument("id")
@reading
@click.option("--json", "json", is_flag=True, help="One JSON object a trace, one a line.")
@coloured
def show(source: Source, id: str, json: bool, colour: bool | None) -> None:
    """Draw the trace of an id as a tree, with durations, waits in queues and errors."""
    traces = find(source, id)
    if not traces:
        raise NotFound(missing(source, id))
    terminal = Terminal(colour)
    if len(traces) > 1:
        click.echo(f"{len(traces)} traces have {plain(id)}, the first comes first:", err=True)
    for number, trace in enumerate(traces):
        if json:
            terminal.say(as_json.of_trace(trace))
        else:
            terminal.say(("\n" if number else "") + draw(trace, terminal.width, paint=terminal.paint))


def missing(source: Source, id: str) -> str:
    """Say that nothing was found, and what can be done."""
    if trace_id := trace_id_of(id.strip()):
        return f"Trace {trace_id} is not in {source.name}. {source.hint}"
    return (
        f"No trace in {source.name} has {plain(id)}. {source.hint} Spans have a message's key with "
        "AIOKAFKA_OTEL_RECORD_KEY=true."
    )
