"""The parts of the system as one table: what is started how, listens where, and when it is ready."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stack import kafka, postgres, zipkin
from stack.catalogue import Service, Web, services
from stack.probes import Probe, http_ok, kafka_serves, postgres_serves, smtp_greets, status_ready
from stack.services import environment, instrumented, status_file, worker_environment
from stack.settings import MAX_REPLICAS, REPOSITORY, Settings, names_of

COLLECTOR_CONFIG = REPOSITORY / "otel-collector" / "config.yaml"


@dataclass(frozen=True)
class Part:
    """One process of the system.

    `ports` are the names of settings, `after` the parts that it is started after, where there are such. A service is
    stopped before the others: the Collector takes its last spans. An `optional` part is started by its name only.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    probe: Probe
    ports: Sequence[str] = ()
    prepare: Callable[[], None] | None = None
    after: Sequence[str] = ()
    service: bool = False
    optional: bool = False


def table(s: Settings) -> dict[str, Part]:
    """Return the parts that these settings want, by name, in the order of starting."""
    return {name: part for name, part in every(s).items() if not part.optional}


def every(s: Settings) -> dict[str, Part]:
    """Return all parts that there can be in this folder: those that these settings do not want are optional."""
    parts = [
        Part(
            name="kafka",
            command=kafka.COMMAND,
            environment=kafka.environment(s),
            prepare=lambda: kafka.prepare(s),
            ports=["kafka_port", "kafka_controller_port"],
            probe=kafka_serves(s.kafka_port),
        ),
        Part(
            name="zipkin",
            command=zipkin.command(s),
            environment=zipkin.environment(s),
            ports=["zipkin_port"],
            probe=http_ok(s.zipkin_port, "/health"),
        ),
        _collector(s),
        _mail(s),
        Part(
            name="postgres",
            command=postgres.COMMAND,
            environment=postgres.environment(s),
            prepare=lambda: postgres.prepare(s),
            ports=["postgres_port"],
            probe=postgres_serves(postgres.libpq_url(s, "test")),
            optional=s.database != "postgresql",
        ),
        *(part for service in services() for part in _of_service(s, service)),
    ]
    return {part.name: part for part in parts}


def _collector(s: Settings) -> Part:
    """The Collector that was built from otel-collector/sources; the environment fills in config.yaml."""
    listens = {
        "OTLP_GRPC_PORT": s.otlp_grpc_port,
        "OTLP_HTTP_PORT": s.otlp_http_port,
        "COLLECTOR_HEALTH_PORT": s.collector_health_port,
        "COLLECTOR_METRICS_PORT": s.collector_metrics_port,
        "PROMETHEUS_PORT": s.prometheus_port,
    }
    return Part(
        name="collector",
        command=[str(s.downloads / "collector" / "otelcol"), "--config", str(COLLECTOR_CONFIG)],
        environment={
            "COLLECTOR_BIND": "127.0.0.1",
            "COLLECTOR_DATA": str(s.data / "collector"),
            "ZIPKIN_SPANS_URL": f"{s.zipkin_url}/api/v2/spans",
            **{variable: str(port) for variable, port in listens.items()},
        },
        ports=[variable.lower() for variable in listens],
        probe=http_ok(s.collector_health_port, "/"),
    )


def _mail(s: Settings) -> Part:
    """A mail server that keeps what it gets in a Maildir."""

    def prepare() -> None:
        # The handler makes the three folders only if the Maildir itself is missing.
        for folder in ("tmp", "new", "cur"):
            (s.mail_folder / folder).mkdir(parents=True, exist_ok=True)

    handler = ["-c", "aiosmtpd.handlers.Mailbox", str(s.mail_folder)]
    return Part(
        name="mail",
        command=[sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", f"127.0.0.1:{s.smtp_port}", *handler],
        environment={},
        prepare=prepare,
        ports=["smtp_port"],
        probe=smtp_greets(s.smtp_port),
    )


def _of_service(s: Settings, service: Service) -> list[Part]:
    web = [_web(s, service.name, service.web)] if service.web else []
    workers = [
        _worker(s, part, service, optional=number > s.replicas, INSTANCE_ID=f"{service.worker}-{number}")
        for number, part in enumerate(names_of(service.worker, MAX_REPLICAS), start=1)
    ]
    return [*web, *workers]


def _web(s: Settings, name: str, web: Web) -> Part:
    program, *arguments = (word.format(settings=s) for word in web.command)
    return Part(
        name=name,
        command=instrumented(s, program, *arguments),
        environment=environment(s, name, **_filled_in(s, web.environment)),
        ports=[web.port],
        probe=http_ok(getattr(s, web.port), web.ready),
        after=["postgres"],
        service=True,
    )


def _worker(s: Settings, name: str, service: Service, *, optional: bool, **own: str) -> Part:
    status = status_file(s, name)

    def prepare() -> None:
        status.parent.mkdir(parents=True, exist_ok=True)
        status.unlink(missing_ok=True)  # the last run's word

    return Part(
        name=name,
        command=instrumented(s, "python", "-m", service.name),
        environment=worker_environment(s, service.name, name, **_filled_in(s, service.environment), **own),
        prepare=prepare,
        probe=status_ready(status),
        after=["kafka", "postgres"],
        service=True,
        optional=optional,
    )


def _filled_in(s: Settings, values: Mapping[str, str]) -> dict[str, str]:
    return {name: value.format(settings=s) for name, value in values.items()}
