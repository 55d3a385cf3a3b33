import hashlib
import os
from pathlib import Path

from stack.fetch import stamp, tidy
from stack.fetch.work import Work
from stack.settings import REPOSITORY
from stack.toolchain import go

SOURCES = REPOSITORY / "otel-collector" / "sources"
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
        work.screen.say("collector", "built")
    tidy.put_aside(work.downloads / "go")
    stamp.verify(folder, made)


def _sources() -> list[str]:
    return [f"{file.name} {stamp.sha256(file)}" for file in sorted(SOURCES.iterdir())]


def _go_build(work: Work, output: str) -> None:
    work.screen.say("collector", "compiling with Go; this is done once and takes 2 to 4 minutes on 2 cores")
    counted = {"modules downloaded": 0, "packages compiled": 0}
    work.progress["collector"] = lambda: ", ".join(f"{number} {what}" for what, number in counted.items())

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
