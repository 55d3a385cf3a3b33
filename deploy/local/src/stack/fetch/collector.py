"""The Collector, built with Go from the committed sources."""

import hashlib
import os
import shutil
import threading
from pathlib import Path

from stack.fetch import stamp
from stack.fetch.tools import go
from stack.fetch.work import Work
from stack.settings import REPOSITORY

SOURCES = REPOSITORY / "otel-collector" / "sources"
BUILDER_CONFIG = SOURCES.with_name("builder-config.yaml")
FLAGS = ["-trimpath", "-buildvcs=false", "-tags", "grpcnotrace", "-ldflags", "-s -w"]


def build(work: Work) -> None:
    """Have the Collector in `collector/otelcol`, built from the committed sources; go.sum pins every module."""
    folder = work.downloads / "collector"
    made_from = hashlib.sha256("\n".join([*FLAGS, *_sources()]).encode()).hexdigest()
    made = stamp.read(folder)
    if made is None or made.made_from != made_from:
        new = work.new_folder("collector")
        _go_build(work, str(new / "otelcol"))
        made = stamp.of_folder(new, made_from)
        stamp.finish(new, made, folder)
        work.progress.say("collector", "built")
    _put_aside(work.downloads / "go")
    stamp.verify(folder, made)


def _sources() -> list[str]:
    return [f"{file.name} {stamp.sha256(file)}" for file in sorted(SOURCES.iterdir())]


def _go_build(work: Work, output: str) -> None:
    work.progress.say("collector", "compiling with Go; this is done once and takes 2 to 4 minutes on 2 cores")
    counted = {"modules downloaded": 0, "packages compiled": 0}
    work.so_far["collector"] = lambda: ", ".join(f"{number} {what}" for what, number in counted.items())

    def count(line: str) -> None:
        counted["modules downloaded" if line.startswith("go: downloading") else "packages compiled"] += 1

    command = [str(go(work.downloads)), "build", "-v", *FLAGS, "-o", output, "."]
    work.commands.run(command, environment(work.downloads), log=work.log("collector"), folder=SOURCES, each_line=count)


def environment(downloads: Path) -> dict[str, str]:
    """Return Go's environment: its caches in the folder of downloads, no other toolchain, no C compiler."""
    caches = downloads / "go"
    own = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(caches / "cache"),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOMODCACHE": str(caches / "mod"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return {**{name: value for name, value in os.environ.items() if name != "GOROOT"}, **own}


def _put_aside(caches: Path) -> None:
    """Give up Go's caches of 2.8 GB, unless KEEP_GO_CACHE is set: renamed now, for `remove_caches` to delete."""
    if caches.exists() and not os.environ.get("KEEP_GO_CACHE"):
        caches.rename(caches.with_name(f"{caches.name}.old.{os.getpid()}"))


def remove_caches(downloads: Path) -> threading.Thread:
    """Start deleting what was put aside, beside the start of the system: it is 50,000 files.

    A thread that ends with its process: what is left then is deleted the next time.
    """
    thread = threading.Thread(target=_delete, args=[downloads], daemon=True)
    thread.start()
    return thread


def _delete(downloads: Path) -> None:
    for folder in downloads.glob("go.old.*"):
        shutil.rmtree(folder, ignore_errors=True)


def renew(work: Work) -> None:
    """Generate otel-collector/sources from builder-config.yaml with the Collector's own builder."""
    new = work.new_folder("sources")
    shutil.copy(BUILDER_CONFIG, new)
    lines = BUILDER_CONFIG.read_text().splitlines()
    [version] = [line.split(": ")[1] for line in lines if line.startswith("  version: ")]
    command = [str(go(work.downloads)), "run", f"go.opentelemetry.io/collector/cmd/builder@v{version}"]
    command += ["--config", BUILDER_CONFIG.name, "--skip-compilation"]
    variables = {**environment(work.downloads), "GOFLAGS": "-modcacherw"}
    work.commands.run(command, variables, log=work.log("sources"), folder=new, each_line=work.say("sources"))
    for file in (new / SOURCES.name).iterdir():
        shutil.copy(file, SOURCES)
    shutil.rmtree(new)
