"""For maintainers: write what is pinned anew, after a change of a version. What comes of it is committed."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from stack.fetch import collector, tools
from stack.fetch.commands import Commands
from stack.fetch.lock import LOCK
from stack.fetch.work import Work
from stack.console import Screen
from stack.settings import Settings
from stack.toolchain import go

BUILDER_CONFIG = collector.SOURCES.with_name("builder-config.yaml")


def collector_sources(settings: Settings) -> None:
    """Generate otel-collector/sources from builder-config.yaml with the Collector's own builder."""
    work = _work(settings)
    new = work.new_folder("sources")
    shutil.copy(BUILDER_CONFIG, new)
    command = [str(go(work.downloads)), "run", f"go.opentelemetry.io/collector/cmd/builder@v{_version()}"]
    command += ["--config", BUILDER_CONFIG.name, "--skip-compilation"]
    environment = {**collector.environment(work.downloads), "GOFLAGS": "-modcacherw"}
    work.commands.run(command, environment, log=work.log("sources"), folder=new, each_line=work.say("sources"))
    for file in (new / collector.SOURCES.name).iterdir():
        shutil.copy(file, collector.SOURCES)
    shutil.rmtree(new)


def jars(settings: Settings) -> None:
    """Resolve Kafka's tree of dependencies and write jars.lock with the hashes of what is served today."""
    work = _work(settings)
    resolver = Path(__file__).with_name("resolve.py")
    lines: list[str] = []
    command = [str(work.downloads / "venv" / "bin" / "python"), str(resolver), str(work.new_folder("resolved"))]
    work.commands.run(command, os.environ, log=work.log("jars"), each_line=lines.append)
    shutil.rmtree(work.downloads / "resolved.new")
    head = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    LOCK.write_text("\n".join([*head, *lines]) + "\n")


RENEWALS: Mapping[str, Callable[[Settings], None]] = {"collector": collector_sources, "jars": jars}


def _work(settings: Settings) -> Work:
    work = Work(settings.downloads, Commands(settings.home), Screen())
    tools.fetch(work)
    return work


def _version() -> str:
    [line] = [line for line in BUILDER_CONFIG.read_text().splitlines() if line.startswith("  version: ")]
    return line.removeprefix("  version: ")
