"""The product: this checkout's services, or those of another checkout."""

import sys
from collections.abc import Mapping
from pathlib import Path

from journey import read_chain
from stack import Settings, StackError
from stack.parts import Part, table
from stack.probes import smtp_greets
from stack.services import env_file
from stack.settings import REPOSITORY, Database

from bench.candidates.candidate import Candidate
from bench.candidates.programs import BENCH, done_file

ORDER_JOURNEY = read_chain(REPOSITORY / "journey.toml")
UNTRACED = {"OTEL_SDK_DISABLED": "true"}
# Of these there is one for all candidates, or the bench has its own.
NOT_OURS = {"kafka", "zipkin", "collector", "mail"}
# Differs between the processes of one checkout.
PER_PROCESS = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def services(settings: Settings) -> list[Part]:
    """Return the product's processes, its database's server if it has one, and a mail server that keeps nothing."""
    return [*(part for part in table(settings).values() if part.name not in NOT_OURS), sink(settings)]


def sink(settings: Settings) -> Part:
    return Part(
        name="mail",
        command=[sys.executable, str(BENCH / "sink.py"), str(settings.smtp_port), str(done_file(settings))],
        environment={},
        probe=smtp_greets(settings.smtp_port),
        ports=["smtp_port"],
    )


def ours(
    name: str,
    what: str,
    *,
    traced: bool = True,
    database: Database = "sqlite",
    replicas: int = 1,
    checkout: Path | None = None,
) -> Candidate:
    """Return the product in one of its forms."""

    def settings(base: Settings) -> Settings:
        environment = dict(_environment_of(checkout) if checkout else {}) | ({} if traced else UNTRACED)
        python_env = checkout / ".venv" if checkout else base.python_env
        changed = {"environment": environment, "python_env": python_env, "database": database, "replicas": replicas}
        return base.model_copy(update=changed)

    return Candidate(name, what, services, [ORDER_JOURNEY] if traced else (), mails=True, settings=settings)


def _environment_of(checkout: Path) -> Mapping[str, str]:
    file = checkout / "deploy" / "otel.env"
    if not (checkout / ".venv").exists() or not file.exists():
        raise StackError(f"{checkout} is no checkout of this project with an environment: run `uv sync` in it")
    return {name: value for name, value in env_file(file).items() if name != PER_PROCESS}


OURS = ours("ours", "this project: database, outbox, inbox, e-mail, one trace for each order")
OURS_UNTRACED = ours("ours-untraced", "the same with OTEL_SDK_DISABLED=true", traced=False)
POSTGRES = ours("ours-postgres", "the same as ours on PostgreSQL", database="postgresql")
GROWTH = (
    OURS,
    ours("ours-x2", "two of each worker", replicas=2),
    ours("ours-x3", "three of each worker", replicas=3),
    POSTGRES,
    ours("ours-postgres-x2", "two of each worker on PostgreSQL", database="postgresql", replicas=2),
    ours("ours-postgres-x3", "three of each worker on PostgreSQL", database="postgresql", replicas=3),
)


def of_checkout(checkout: Path) -> tuple[Candidate, Candidate]:
    """Return the services of another checkout, traced and untraced."""
    return (
        ours("other", f"the checkout {checkout.name}", checkout=checkout),
        ours("other-untraced", f"the checkout {checkout.name}, untraced", checkout=checkout, traced=False),
    )
