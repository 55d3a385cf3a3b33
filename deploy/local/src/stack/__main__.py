import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from stack import arrival, demo, foreground
from stack.errors import StackError
from stack.fetch import renew
from stack.logs import tail
from stack.runner import Stack
from stack.services import no_proxy
from stack.settings import Settings

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Interrupted at any moment, by Ctrl-C, SIGTERM or SIGHUP, it leaves nothing that it started."""
    options = _parser().parse_args(arguments)
    os.environ.update(no_proxy())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        COMMANDS[options.command](Stack(Settings.from_environment()), options)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstack: interrupted; nothing that was started here is left", file=sys.stderr)
        return INTERRUPTED
    return 0


def _demo(stack: Stack, options: argparse.Namespace) -> None:
    """start everything, place one order, show its journey, stay until Ctrl-C"""
    with stack:
        demo.run(stack)


def _order(stack: Stack, options: argparse.Namespace) -> None:
    """place one order with the system that runs on these ports, in containers too, and show its journey"""
    demo.show_one_order(stack.settings)


def _up(stack: Stack, options: argparse.Namespace) -> None:
    """start everything, or the named parts, in the background"""
    stack.up(*options.names)
    if not options.names:
        place = stack.settings
        arrival.check(place)
        print(f"orders {place.orders_url}/orders   Zipkin {place.zipkin_url}/zipkin   e-mails {place.mail_folder}")
    _tidy(stack)


def _fetch(stack: Stack, options: argparse.Namespace) -> None:
    """fetch and build what everything, or the named parts, are started with, and start nothing"""
    stack.fetch(*options.names)
    _tidy(stack)


def _tidy(stack: Stack) -> None:
    if stack.tidying and stack.tidying.is_alive():
        print("removing Go's caches, which only building needed", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # the system is up, and the next start removes the rest
            stack.tidying.join()


def _down(stack: Stack, options: argparse.Namespace) -> None:
    """stop everything; with --reset forget all orders, messages and e-mails too"""
    stack.down()
    if options.reset:
        shutil.rmtree(stack.settings.data, ignore_errors=True)


def _status(stack: Stack, options: argparse.Namespace) -> None:
    """tell how every part is"""
    found = stack.status()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has enough, like `head`, is no error
    if options.json:
        print(json.dumps([vars(status) for status in found], indent=2))
        return
    for status in found:
        ports = " ".join(map(str, status.ports.values()))
        print(f"{status.part:<16} {status.state:<10} {status.pid or '':>7}  {ports:<28} {status.reason or status.log}")


def _logs(stack: Stack, options: argparse.Namespace) -> None:
    """show the end of a part's log, and where it is"""
    print(tail(stack.log(options.name), lines=50))


def _start(stack: Stack, options: argparse.Namespace) -> None:
    """start one part and wait until it is ready"""
    stack.start(options.name)


def _stop(stack: Stack, options: argparse.Namespace) -> None:
    """stop one part by SIGTERM"""
    stack.stop(options.name)


def _kill(stack: Stack, options: argparse.Namespace) -> None:
    """kill one part by SIGKILL"""
    stack.kill(options.name)


def _signal(stack: Stack, options: argparse.Namespace) -> None:
    """send a signal to one part, like STOP to have it hang and CONT to have it go on"""
    stack.signal(options.name, signal.Signals[f"SIG{options.signal}"])


def _run(stack: Stack, options: argparse.Namespace) -> None:
    """run a command beside the services, like `stack run -- eventbus dlq list`: same broker, traced as redrive"""
    foreground.run(stack.settings, options.words)


def _renew(stack: Stack, options: argparse.Namespace) -> None:
    """for maintainers: write jars.lock or the Collector's sources anew from what they are made of"""
    renew.RENEWALS[options.what](stack.settings)


Command = Callable[[Stack, argparse.Namespace], None]
COMMANDS: Mapping[str, Command] = {
    "demo": _demo,
    "order": _order,
    "fetch": _fetch,
    "up": _up,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "start": _start,
    "stop": _stop,
    "kill": _kill,
    "signal": _signal,
    "run": _run,
    "renew": _renew,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stack", description="The whole system on this machine, without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    each = {name: commands.add_parser(name, help=command.__doc__) for name, command in COMMANDS.items()}
    for name in ("fetch", "up"):
        each[name].add_argument("names", nargs="*", metavar="NAME")
    each["down"].add_argument("--reset", action="store_true")
    each["status"].add_argument("--json", action="store_true")
    for name in ("logs", "start", "stop", "kill", "signal"):
        each[name].add_argument("name", metavar="NAME")
    each["signal"].add_argument("signal", choices=["STOP", "CONT", "INT", "TERM", "KILL"])
    each["run"].add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    each["renew"].add_argument("what", choices=sorted(renew.RENEWALS))
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
