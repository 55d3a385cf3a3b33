"""The tiny service as a process of its own, and what it tells: status, logs, spans."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from libs.eventbus.tests.support import eventually, read_status, unique

TINY_SERVICE = Path(__file__).with_name("tiny_service.py")


@dataclass
class TinyService:
    """One process of the tiny service, on the SQLite file *database*, or where *database_url* says."""

    database: Path
    broker: str
    invoices: str
    orders: str = ""
    service: str = field(default_factory=lambda: unique("tiny"))
    instance_id: str = field(default_factory=lambda: unique("instance"))
    otlp: str | None = None
    database_url: str = ""
    emits: str = ""
    hold: Path | None = None

    def __post_init__(self) -> None:
        self.status_file = self.database.with_name(f"{unique('status')}.json")
        self.log_file = self.database.with_name(f"{unique('log')}.jsonl")

    @contextmanager
    def run(self) -> Iterator["TinyService"]:
        """Run it; what is left of it at the end is killed."""
        with self.log_file.open("wb") as log:
            command = [sys.executable, str(TINY_SERVICE)]
            if self.otlp:
                command.insert(0, str(Path(sys.executable).with_name("opentelemetry-instrument")))
            self.process = subprocess.Popen(command, stderr=log, env=self._environment())
        try:
            yield self
        finally:
            self.process.kill()
            self.process.wait()

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        telemetry = {
            "OTEL_SERVICE_NAME": self.service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp or "",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_LOG_CORRELATION": "true",
        }
        return {
            **inherited,
            **(telemetry if self.otlp else {}),
            "DATABASE_URL": self.database_url or f"sqlite:///{self.database}",
            "KAFKA_BOOTSTRAP_SERVERS": self.broker,
            "INSTANCE_ID": self.instance_id,
            "STATUS_FILE": str(self.status_file),
            "SERVICE": self.service,
            "INVOICES": self.invoices,
            "ORDERS": self.orders,
            "EMITS": self.emits,
            "HOLD": str(self.hold or ""),
        }

    @property
    def status(self) -> dict[str, Any]:
        """What its status file says."""
        return read_status(self.status_file)

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    async def ready(self) -> None:
        """Wait until it says that it is ready."""
        await eventually("the tiny service is ready", lambda: self.status.get("ready"))

    async def exit_code(self) -> int:
        """Wait until it has ended."""
        await eventually("the tiny service has ended", lambda: self.process.poll() is not None)
        return self.process.returncode

    async def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.exit_code()


@dataclass
class Collected:
    """The spans that a Collector received; with another *answer* than 200 it takes none."""

    spans: list[Span] = field(default_factory=list)
    endpoint: str = ""
    answer: int = 200


@contextmanager
def collecting() -> Iterator[Collected]:
    """Receive spans by OTLP over HTTP, as a Collector does."""
    collected = Collected()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            if collected.answer == 200:
                collected.spans += [
                    span
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
            self.send_response(collected.answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collected.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield collected
        finally:
            server.shutdown()
            thread.join()
