"""The command `stack`. Interrupted at any moment, by Ctrl-C, SIGTERM or SIGHUP, it leaves nothing that it started."""

import contextlib
import json
import os
import shutil
import signal
from types import FrameType
from typing import Any

import click

from stack import arrival, demo, fetch, new_service
from stack.children import tail
from stack.console import print_table
from stack.runner import Stack
from stack.services import become, no_proxy
from stack.settings import Settings

INTERRUPTED = 130
SIGNALS = ("STOP", "CONT", "INT", "TERM", "KILL")


class _Interruptible(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nstack: interrupted; nothing that was started here is left", err=True)
            ctx.exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


pass_stack = click.make_pass_decorator(Stack)
one_part = click.argument("name")
any_parts = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group(cls=_Interruptible, context_settings={"max_content_width": 120})
@click.pass_context
def main(context: click.Context) -> None:
    """Run the whole system on this machine, without Docker."""
    os.environ.update(no_proxy())
    context.obj = Stack(Settings.from_environment())


@main.command("demo")
@pass_stack
def demo_(stack: Stack) -> None:
    """Start everything, place one order, show its journey, stay until Ctrl-C."""
    with stack:
        demo.run(stack)


@main.command()
@pass_stack
def order(stack: Stack) -> None:
    """Place one order with the system on these ports, and show its journey.

    The system may run in containers.
    """
    demo.show_one_order(stack.settings)


@main.command("fetch")
@any_parts
@pass_stack
def fetch_(stack: Stack, names: tuple[str, ...]) -> None:
    """Fetch and build what everything, or the named parts, are started with; start nothing."""
    stack.fetch(*names)
    _tidy(stack)


@main.command()
@any_parts
@pass_stack
def up(stack: Stack, names: tuple[str, ...]) -> None:
    """Start everything, or the named parts, in the background."""
    stack.up(*names)
    if not names:
        place = stack.settings
        arrival.check(place)
        click.echo(f"orders {place.orders_url}/orders   Zipkin {place.zipkin_url}/zipkin   e-mails {place.mail_folder}")
    _tidy(stack)


def _tidy(stack: Stack) -> None:
    if stack.tidying and stack.tidying.is_alive():
        click.echo("removing Go's caches, which only building needed")
        with contextlib.suppress(KeyboardInterrupt):  # the system is up, and the next start removes the rest
            stack.tidying.join()


@main.command()
@click.option("--reset", is_flag=True, help="Forget all orders, messages and e-mails too.")
@pass_stack
def down(stack: Stack, reset: bool) -> None:
    """Stop everything."""
    stack.down()
    if reset:
        shutil.rmtree(stack.settings.data, ignore_errors=True)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list of all parts.")
@pass_stack
def status(stack: Stack, as_json: bool) -> None:
    """Tell how every part is."""
    found = stack.status()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has enough, like `head`, is no error
    if as_json:
        click.echo(json.dumps([vars(each) for each in found], indent=2))
        return
    print_table(
        (each.part, each.state, str(each.pid or ""), " ".join(map(str, each.ports.values())), each.reason or each.log)
        for each in found
    )


@main.command()
@one_part
@pass_stack
def logs(stack: Stack, name: str) -> None:
    """Show the end of a part's log, and where it is."""
    click.echo(tail(stack.log(name), lines=50))


@main.command()
@one_part
@pass_stack
def start(stack: Stack, name: str) -> None:
    """Start one part and wait until it is ready."""
    stack.start(name)


@main.command()
@one_part
@pass_stack
def stop(stack: Stack, name: str) -> None:
    """Stop one part by SIGTERM."""
    stack.stop(name)


@main.command()
@one_part
@pass_stack
def kill(stack: Stack, name: str) -> None:
    """Kill one part by SIGKILL."""
    stack.kill(name)


@main.command("signal")
@one_part
@click.argument("number", metavar="SIGNAL", type=click.Choice(SIGNALS))
@pass_stack
def signal_(stack: Stack, name: str, number: str) -> None:
    """Send a signal to one part: STOP has it hang, CONT has it go on; INT, TERM, KILL."""
    stack.signal(name, signal.Signals[f"SIG{number}"])


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND")
@pass_stack
def run(stack: Stack, words: tuple[str, ...]) -> None:
    """Run a command beside the services, like `stack run -- eventbus dlq list`.

    It has their broker, and its spans are those of the service `redrive`.
    """
    become(stack.settings, words)


@main.command()
@one_part
@click.option("--reads", metavar="EVENT", required=True, help="What it reads, like invoice.issued.v1.")
@click.option("--writes", metavar="EVENT", required=True, help="What it announces, like shipment.booked.v1.")
def new(name: str, reads: str, writes: str) -> None:
    """For developers: write a new service, with its contracts, its place in all files, and tests."""
    new_service.create(name, reads, writes)
    click.echo(new_service.NEXT.format(name=name, reads=reads, writes=writes))


@main.command()
@click.argument("what", type=click.Choice(sorted(fetch.RENEWALS)))
@pass_stack
def renew(stack: Stack, what: str) -> None:
    """For maintainers: write jars.lock or the Collector's sources anew.

    They are made from the versions that are named in maven.py and in builder-config.yaml.
    """
    fetch.renew(what, stack.settings)


if __name__ == "__main__":
    main()
