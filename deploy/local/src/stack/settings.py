"""Where everything is and listens, and how much of it there is."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from stack import ports
from stack.console import StackError

REPOSITORY = Path(__file__).resolve().parents[4]

Database = Literal["sqlite", "postgresql"]
# A topic has three partitions: a fourth worker of a kind would have nothing to do.
MAX_REPLICAS = 3

_Port = Annotated[int, Field(ge=1, le=65535, description="a port: give a number from 1 to 65535")]


class _Ports(BaseModel):
    """One port for each listener. Each is also an environment variable of the same name in capitals."""

    orders_port: _Port = 8080
    zipkin_port: _Port = 9411
    kafka_port: _Port = 9092
    kafka_controller_port: _Port = 9093
    otlp_grpc_port: _Port = 4317
    otlp_http_port: _Port = 4318
    collector_health_port: _Port = 13133
    collector_metrics_port: _Port = 8888
    prometheus_port: _Port = 8889
    smtp_port: _Port = 1025
    postgres_port: _Port = 5432


PORTS = tuple(_Ports.model_fields)


class _Variables(_Ports, BaseSettings):
    """What the command reads from the environment."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    stack_folder: Path | None = None
    stack_downloads: Path | None = None
    stack_replicas: int = Field(
        default=1, ge=1, le=MAX_REPLICAS, description=f"a number of replicas: give a number from 1 to {MAX_REPLICAS}"
    )
    stack_database: Database = Field(default="sqlite", description="a database: give sqlite or postgresql")
    demo_faults: str = ""


class Settings(_Ports):
    """Where everything is: one folder for what runs, one for what was downloaded and built, one port for each listener.

    Everything listens on loopback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = REPOSITORY / ".stack"
    downloads: Path = REPOSITORY / ".stack"
    python_env: Path = Path(sys.prefix)
    environment: Mapping[str, str] = {}
    """Put last into the environment of the services."""
    replicas: int = 1
    """How many of each worker there are."""
    database: Database = "sqlite"
    """Where the services keep their data: a file each, or a database each on one server."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read STACK_FOLDER, STACK_DOWNLOADS, STACK_REPLICAS, STACK_DATABASE, DEMO_FAULTS and the ports.

        A value that cannot be is an error that names its variable and what it may be.
        """
        try:
            read = _Variables()
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            expected = _Variables.model_fields[name].description
            raise StackError(f"{name.upper()}={first['input']!r} is not {expected}") from None
        folders = {"home": read.stack_folder, "downloads": read.stack_downloads}
        chosen: dict[str, Any] = {name: getattr(read, name) for name in PORTS}
        chosen |= {name: folder.expanduser().resolve() for name, folder in folders.items() if folder}
        return cls(
            environment={"DEMO_FAULTS": read.demo_faults} if read.demo_faults else {},
            replicas=read.stack_replicas,
            database=read.stack_database,
            **chosen,
        )

    @classmethod
    def isolated(cls, folder: Path, **own: Any) -> Self:
        """Settings of a stack of its own: free ports, all data under `folder`; downloads and builds are shared."""
        own |= zip(PORTS, ports.free(len(PORTS)), strict=True)
        return cls(home=folder.resolve(), **own)

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


def names_of(worker: str, replicas: int) -> list[str]:
    """Return the names of so many parts that do the same work."""
    return [worker, *(f"{worker}-{number}" for number in range(2, replicas + 1))]
