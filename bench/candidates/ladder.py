"""What each promise costs: from the floor to the product, one more at each rung."""

from dataclasses import replace
from functools import partial

from stack import Settings
from stack.parts import Part, every
from stack.probes import status_ready

from bench.candidates.candidate import Candidate
from bench.candidates.installing import install_python
from bench.candidates.others import FLOOR, floor_worker, stock
from bench.candidates.own import ORDER_JOURNEY, OURS, OURS_UNTRACED, POSTGRES, UNTRACED, services
from bench.candidates.programs import BENCH, worker

LADDER_PROGRAMS = BENCH / "ladder"


def untraced(settings: Settings) -> Settings:
    return settings.model_copy(update={"environment": UNTRACED})


def with_outbox(settings: Settings) -> list[Part]:
    """Our orders; a billing of the bench's own, which has no inbox, and its relay; the floor's notifier."""
    parts = every(settings)
    environment, program = parts["billing"].environment, str(LADDER_PROGRAMS / "without_inbox.py")
    command, status = [str(settings.python_env / "bin" / "python"), program], settings.home / "status" / "relay.json"
    billing = worker(settings, "billing", command, environment)
    relay = replace(
        worker(settings, "billing-relay", [*command, "relay"], {**environment, "STATUS_FILE": str(status)}),
        probe=status_ready(status),
    )
    return [parts["orders"], parts["orders-worker"], billing, relay, floor_worker(settings, "notifier")]


def with_inbox(settings: Settings) -> list[Part]:
    """Our orders and billing, the floor's notifier."""
    parts = every(settings)
    return [parts["orders"], parts["orders-worker"], parts["billing"], floor_worker(settings, "notifier")]


def unflushed(settings: Settings) -> list[Part]:
    """Our services, whose workers export spans in their own time."""
    program = str(LADDER_PROGRAMS / "unflushed.py")

    def command(part: Part) -> list[str]:
        return [program if word == "-m" else word for word in part.command]

    return [
        replace(part, command=command(part)) if "STATUS_FILE" in part.environment else part
        for part in services(settings)
    ]


_STOCK = partial(install_python, peer="stock")
LADDER = (
    FLOOR,
    Candidate("gunicorn", "+ Flask and gunicorn", partial(stock, traced=False), install=_STOCK),
    Candidate("outbox", "+ database and outbox in orders and billing", with_outbox, settings=untraced, install=_STOCK),
    Candidate("inbox", "+ inbox, retries and dead letters", with_inbox, settings=untraced, install=_STOCK),
    replace(OURS_UNTRACED, what="+ e-mail"),
    Candidate("unflushed", "+ tracing", unflushed, [ORDER_JOURNEY], mails=True),
    replace(OURS, what="+ spans exported before their message is forgotten"),
    replace(POSTGRES, what="+ PostgreSQL"),
)
