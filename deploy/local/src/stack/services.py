"""How a service is run: under opentelemetry-instrument, with deploy/otel.env and an environment of its own."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from stack import postgres
from stack.console import StackError
from stack.settings import REPOSITORY, Settings

# What the shell has of these is not for the services, unless a setting says so.
_OURS = ("OTEL_", "DEMO_FAULTS")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
OTEL_ENV = REPOSITORY / "deploy" / "otel.env"


def instrumented(settings: Settings, program: str, *arguments: str) -> list[str]:
    """Return the command that runs a program of the services' Python environment."""
    programs = settings.python_env / "bin"
    return [str(programs / "opentelemetry-instrument"), str(programs / program), *arguments]


def environment(settings: Settings, service: str, **own: str) -> dict[str, str]:
    """Return a service's environment; what the shell has of OTEL_* stays out of it."""
    return {
        **env_file(OTEL_ENV),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{settings.otlp_http_port}",
        "OTEL_SERVICE_NAME": service,
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": database_url(settings, service),
        **own,
        **settings.environment,
    }


def worker_environment(settings: Settings, service: str, part: str, **own: str) -> dict[str, str]:
    """Return the environment of a worker, which has a broker and a status file."""
    return environment(
        settings,
        service,
        KAFKA_BOOTSTRAP_SERVERS=settings.kafka,
        STATUS_FILE=str(status_file(settings, part)),
        **own,
    )


def database_url(settings: Settings, service: str) -> str:
    """Where a service keeps its data: all of its processes have the same database, no other service has it."""
    if settings.database == "postgresql":
        return postgres.url(settings, service)
    return f"sqlite:///{settings.data / service}.db"


def tool_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a command that people run beside the services: it has a broker, and no database."""
    everything = environment(settings, "redrive", KAFKA_BOOTSTRAP_SERVERS=settings.kafka)
    return {name: value for name, value in everything.items() if name != "DATABASE_URL"}


def become(settings: Settings, words: Sequence[str]) -> NoReturn:
    """Become this command, in the services' environment: terminal, signals and exit code are its own.

    Raises StackError if there is none, or if the services' Python environment has no such program.
    """
    if not words:
        raise StackError("name a command, like `stack run -- eventbus dlq list`")
    # What follows -- is no option of opentelemetry-instrument, whatever it begins with.
    instrument, *rest = instrumented(settings, *words)
    if not os.access(rest[0], os.X_OK):
        raise StackError(f"there is no program {words[0]!r} in {settings.python_env / 'bin'}")
    os.execve(instrument, [instrument, "--", *rest], {**inherited(), **tool_environment(settings)})


def status_file(settings: Settings, part: str) -> Path:
    """Where a worker says whether it is ready."""
    return settings.home / "status" / f"{part}.json"


def inherited() -> dict[str, str]:
    """Return what every part gets of this process's environment."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(_OURS)}, **no_proxy()}


def no_proxy() -> dict[str, str]:
    """Return the variables by which nobody asks the shell's proxy for what listens on loopback."""
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    names = [*_LOOPBACK, *(name for name in (others or "").split(",") if name and name not in _LOOPBACK)]
    return dict.fromkeys(["no_proxy", "NO_PROXY"], ",".join(names))


def env_file(path: Path) -> Mapping[str, str]:
    """Read a file of NAME=value lines, as Docker Compose does."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
