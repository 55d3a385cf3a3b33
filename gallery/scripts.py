"""Runs the scripts of entries: each process under opentelemetry-instrument, as a person would start it."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from stack import Settings
from stack.services import inherited

from gallery.entry import Entry, Instrumentation, Process, Run
from gallery.environments import REPOSITORY

SECONDS: Final = 90.0
AT_ONCE: Final = 3  # they wait for the broker now and then
TOPICS: Final = ("orders", "invoices")

Environments = Mapping[Instrumentation, Path]


class EntryFailed(Exception):
    """An entry does not do what it says."""


@dataclass(frozen=True)
class Execution:
    """A run with the mark that its topics, its group and its spans carry."""

    entry: Entry
    run: Run
    mark: str = field(default_factory=lambda: uuid4().hex[:8])

    def topic(self, name: str) -> str:
        return f"{name}.{self.mark}"

    def __str__(self) -> str:
        return f"{self.entry.name} ({'broken' if self.run is self.entry.broken else 'whole'})"


def run_scripts(executions: Sequence[Execution], settings: Settings, environments: Environments, folder: Path) -> None:
    """Run them all, some at a time. EntryFailed names the first process that did not end as it should."""
    asyncio.run(_create_topics(settings.kafka, executions))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for executed in [pool.submit(_execute, each, settings, environments, folder) for each in executions]:
            executed.result()


async def _create_topics(kafka: str, executions: Sequence[Execution]) -> None:
    names = chain.from_iterable(map(each.topic, TOPICS) for each in executions)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1) for name in names])
    finally:
        await admin.close()


def _execute(execution: Execution, settings: Settings, environments: Environments, folder: Path) -> None:
    home = folder / execution.mark
    home.mkdir()
    programs = environments[execution.run.instrumentation] / "bin"
    *_, last = execution.run.processes
    for process in execution.run.processes:
        command = [programs / "opentelemetry-instrument", programs / "python"]
        script = ["-m", f"gallery.entries.{execution.entry.name}", process.function]
        log = home / f"{process.function}.log"
        code = _run([*command, *script], _environment(execution, process, settings, home), log)
        wanted = execution.run.exit_code if process == last else 0
        if code != wanted:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            how = f"still ran after {SECONDS:g} s" if code is None else f"ended with {code} instead of {wanted}"
            raise EntryFailed(f"{execution}: {process.function} {how}:\n{end}")


def _run(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> int | None:
    """Return the exit code; None where the process had to be killed."""
    with log.open("wb") as output:
        try:
            return subprocess.run(
                command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT, timeout=SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def _environment(execution: Execution, process: Process, settings: Settings, home: Path) -> dict[str, str]:
    others = {Instrumentation.STOCK: "aiokafka_otel", Instrumentation.OURS: "aiokafka"}
    return {
        **inherited(),
        # What one process compiles the next one reads: half of its start.
        "PYTHONDONTWRITEBYTECODE": "",
        "OTEL_SERVICE_NAME": process.service,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{settings.otlp_http_port}",
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={execution.mark}",
        # The Collector takes traces only, and no script serves HTTP.
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": f"flask,{others[execution.run.instrumentation]}",
        "KAFKA": settings.kafka,
        "ORDERS": execution.topic("orders"),
        "INVOICES": execution.topic("invoices"),
        "GROUP": execution.topic("billing"),
        "FOLDER": str(home),
        **process.settings,
    }
