"""Programs that are not the product's as parts of a stack."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import Settings
from stack.parts import Part
from stack.probes import Probe, http_ok

BENCH = Path(__file__).resolve().parent.parent


def done_file(settings: Settings) -> Path:
    """Where each order's arrival at the end of its chain is noted."""
    return settings.home / "done"


def web(settings: Settings, command: Sequence[str], environment: Mapping[str, str]) -> Part:
    """Return what takes orders."""
    return Part(
        name="orders",
        command=command,
        environment={**_places(settings, "orders"), **environment},
        probe=http_ok(settings.orders_port, "/readyz"),
        ports=["orders_port"],
        service=True,
    )


def worker(settings: Settings, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Part:
    """Return what reads a topic, in a consumer group of this run's own; it touches the file READY when it does."""
    ready = settings.home / "status" / f"{name}.ready"

    def prepare() -> None:
        ready.parent.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)

    return Part(
        name=name,
        command=command,
        environment={**_places(settings, name), "READY": str(ready), **environment},
        probe=_exists(ready),
        prepare=prepare,
        service=True,
    )


def _exists(file: Path) -> Probe:
    return lambda: None if file.exists() else "has not said that it reads"


def _places(settings: Settings, name: str) -> dict[str, str]:
    return {
        "KAFKA": settings.kafka,
        "PORT": str(settings.orders_port),
        "GROUP": f"{name}-{settings.home.name}",
        "DONE": str(done_file(settings)),
        "OTEL_SERVICE_NAME": name,
    }
