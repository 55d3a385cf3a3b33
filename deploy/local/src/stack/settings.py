import itertools
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from stack.errors import StackError

REPOSITORY = Path(__file__).resolve().parents[4]

Database = Literal["sqlite", "postgresql"]
# A topic has three partitions: a fourth worker of a kind would have nothing to do.
MAX_REPLICAS = 3


@dataclass(frozen=True)
class Settings:
    """Where everything is: one folder for what runs, one for what was downloaded and built, one port for each listener.

    Everything listens on loopback. Each port is also an environment variable of the same name in capitals.
    """

    home: Path = REPOSITORY / ".stack"
    downloads: Path = REPOSITORY / ".stack"
    python_env: Path = Path(sys.prefix)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Put last into the environment of the services."""
    replicas: int = 1
    """How many of each worker there are."""
    database: Database = "sqlite"
    """Where the services keep their data: a file each, or a database each on one server."""
    orders_port: int = 8080
    zipkin_port: int = 9411
    kafka_port: int = 9092
    kafka_controller_port: int = 9093
    otlp_grpc_port: int = 4317
    otlp_http_port: int = 4318
    collector_health_port: int = 13133
    collector_metrics_port: int = 8888
    prometheus_port: int = 8889
    smtp_port: int = 1025
    postgres_port: int = 5432

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read STACK_FOLDER, STACK_DOWNLOADS, STACK_REPLICAS, STACK_DATABASE, DEMO_FAULTS and the ports.

        A value that cannot be is an error that names its variable and what it may be.
        """
        e = environment
        read: dict[str, Any] = {name: _number(name.upper(), e, 65535, "port") for name in _PORTS if name.upper() in e}
        if e.get("STACK_REPLICAS"):
            read["replicas"] = _number("STACK_REPLICAS", e, MAX_REPLICAS, "number of replicas")
        if e.get("STACK_DATABASE"):
            read["database"] = _database(e["STACK_DATABASE"])
        if e.get("DEMO_FAULTS"):
            read["environment"] = {"DEMO_FAULTS": e["DEMO_FAULTS"]}
        return cls(
            home=_folder("STACK_FOLDER", e) or cls.home,
            downloads=_folder("STACK_DOWNLOADS", e) or cls.downloads,
            **read,
        )

    @classmethod
    def isolated(
        cls,
        folder: Path,
        *,
        python_env: Path = python_env,
        environment: Mapping[str, str] | None = None,
        replicas: int = 1,
        database: Database = "sqlite",
    ) -> "Settings":
        """Settings of a stack of its own: free ports, all data under `folder`; downloads and builds are shared."""
        ports: dict[str, Any] = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        return cls(
            home=folder.resolve(),
            python_env=python_env,
            environment=environment or {},
            replicas=replicas,
            database=database,
            **ports,
        )

    def replicas_of(self, worker: str) -> list[str]:
        """Return the names of the parts that do the same work: `billing`, `billing-2` …"""
        return names_of(worker, self.replicas)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def log(self, part: str) -> Path:
        """Return the file with everything that a part printed."""
        return self.logs / f"{part}.log"

    @property
    def mail_folder(self) -> Path:
        """A Maildir: one file for each e-mail in its `new`."""
        return self.data / "mail"

    @property
    def audit_folder(self) -> Path:
        """The Collector's files of all spans, `traces*.jsonl`: one OTLP request in JSON a line."""
        return self.data / "collector" / "audit"

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def orders_url(self) -> str:
        return f"http://127.0.0.1:{self.orders_port}"

    @property
    def zipkin_url(self) -> str:
        return f"http://127.0.0.1:{self.zipkin_port}"


_PORTS = [f.name for f in fields(Settings) if f.name.endswith("_port")]


def names_of(worker: str, replicas: int) -> list[str]:
    """Return the names of so many parts that do the same work."""
    return [worker, *(f"{worker}-{number}" for number in range(2, replicas + 1))]


def _folder(name: str, environment: Mapping[str, str]) -> Path | None:
    return Path(environment[name]).expanduser().resolve() if environment.get(name) else None


def _number(name: str, environment: Mapping[str, str], most: int, what: str) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
        raise StackError(f"{name}={text!r} is not a {what}: give a number from 1 to {most}")
    return int(text)


def _database(text: str) -> Database:
    known: tuple[Database, ...] = get_args(Database)
    for database in known:
        if text == database:
            return database
    raise StackError(f"STACK_DATABASE={text!r} is no database: give {' or '.join(known)}")


# Below 32768: the systems give their own outgoing connections the ports above.
_PORT_RANGE = range(15000, 32000)


def _candidates() -> Iterator[int]:
    """Every port once and then again, from a place of this process's own: what starts beside it looks elsewhere."""
    first = os.getpid() * 7919
    for step in itertools.count():
        yield _PORT_RANGE[(first + step) % len(_PORT_RANGE)]


_next_ports = _candidates()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in itertools.islice(_next_ports, len(_PORT_RANGE)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise StackError(f"no {count} free ports between {_PORT_RANGE[0]} and {_PORT_RANGE[-1]}")
