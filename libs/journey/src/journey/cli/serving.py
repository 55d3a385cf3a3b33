"""`journey serve`."""

import socket

import click

from journey.cli.reading import CannotRead, zipkin_option

THREADS = 8


@click.command()
@zipkin_option
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), default=9412, show_default=True)
def serve(zipkin: str, host: str, port: int) -> None:
    """Serve a page of journeys, for any system with spans in Zipkin. Ctrl-C ends it."""
    try:
        from waitress import serve as serve_forever

        from journey.web import create_app
    except ModuleNotFoundError as error:
        raise CannotRead(f"{error.name} is missing: pip install 'journey[web]'.") from None
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise CannotRead(f"{host}:{port} cannot be listened on: {error.strerror}.") from None
    click.echo(f"Journeys of Zipkin at {zipkin}: http://{host}:{listening.getsockname()[1]}")
    serve_forever(create_app(zipkin.rstrip("/")), sockets=[listening], threads=THREADS)
