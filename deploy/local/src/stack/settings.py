import os
import random
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from stack.errors import StackError

REPOSITORY = Path(__file__).resolve().parents[4]


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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read STACK_FOLDER, STACK_DOWNLOADS and the ports; a port that is none is an error that names its variable."""
        home = _folder("STACK_FOLDER", environment) or cls.home
        downloads = _folder("STACK_DOWNLOADS", environment) or cls.downloads
        ports: dict[str, Any] = {name: _port(name, environment) for name in _PORTS if name.upper() in environment}
        return cls(home=home, downloads=downloads, **ports)

    @classmethod
    def isolated(
        cls, folder: Path, *, python_env: Path = python_env, environment: Mapping[str, str] | None = None
    ) -> "Settings":
        """Settings of a stack of its own: free ports, all data under `folder`; downloads and builds are shared."""
        ports: dict[str, Any] = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        return cls(home=folder.resolve(), python_env=python_env, environment=environment or {}, **ports)

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


def _folder(name: str, environment: Mapping[str, str]) -> Path | None:
    return Path(environment[name]).expanduser().resolve() if environment.get(name) else None


def _port(name: str, environment: Mapping[str, str]) -> int:
    text = environment[name.upper()]
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise StackError(f"{name.upper()}={text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def _free_ports(count: int) -> list[int]:
    # Below 32768: the systems give their own outgoing connections the ports above.
    found: list[int] = []
    for port in random.sample(range(15000, 32000), 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise StackError(f"no {count} free ports between 15000 and 32000")
