"""docs/gallery.md: the entries' words and trees, and nothing that is not in them."""

import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from typing import Final

from gallery.entry import Entry, Instrumentation, Run
from gallery.environments import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "gallery.md"
PACKAGES: Final = (
    "aiokafka",
    "confluent-kafka",
    "kafka-python",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-aiokafka",
    "opentelemetry-instrumentation-confluent-kafka",
    "opentelemetry-instrumentation-kafka-python",
)
HEAD: Final = """\
# How a trace breaks

Ways in which the trace of an asynchronous journey breaks in Python, each shown by a small script: `orders` takes an
order and sends it through Kafka, `billing` charges the card. The trees are what Zipkin has after the script ran,
without ids and times. The same is then done so that the trace stays whole.

    uv run python -m gallery {example}   # runs one on a Kafka, a Collector and a Zipkin of its own
    make gallery                            # runs all and writes this page

A run compares what Zipkin has with what the entry declares, tree by tree, and fails where one no longer breaks, or is
no longer whole, the way it says. Where no setting is named, it is the default. The versions are those of `uv.lock`:
{versions}.

| what you see | why |
|---|---|
{table}

`POST /orders` and `charge card` stand for a web server and a call over the network, with the span that their
instrumentation would make. *Stock* is the instrumentation that comes with OpenTelemetry, *ours* is
[aiokafka-otel](../libs/aiokafka-otel/README.md).
"""
NAMES: Final = {Instrumentation.STOCK: "the stock instrumentation", Instrumentation.OURS: "ours"}


def render(entries: Sequence[Entry]) -> str:
    """Return the whole page."""
    numbered = list(enumerate(entries, start=1))
    table = "\n".join(
        f"| {_first_sentence(entry.paragraphs['See'])} | [{number}. {entry.title}](#{_anchor(number, entry)}) |"
        for number, entry in numbered
    )
    head = HEAD.format(
        example=entries[0].name,
        versions=_wrapped(", ".join(_versions())).strip(),
        table=table,
    )
    return "\n".join([head, *("\n".join(_section(number, entry)) for number, entry in numbered)])


def _section(number: int, entry: Entry) -> Iterator[str]:
    words = entry.paragraphs
    yield f"## {number}. {entry.title}\n"
    yield _wrapped(
        f"{words['See']} [`{entry.name}`](../gallery/entries/{entry.name}.py), run with {_how(entry.broken)}:"
    )
    yield _code("", entry.broken.tree)
    yield _code("python", entry.source(entry.broken.shown))
    yield _wrapped(f"**Why.** {words['Why']}")
    yield _wrapped(f"**What to do.** {words['Do']}")
    heading = "The same with ours" if entry.whole.instrumentation is Instrumentation.OURS else "The same by hand"
    yield _wrapped(f"**{heading}.** {words['Whole']} Run with {_how(entry.whole)}:")
    if entry.whole.shown != entry.broken.shown:
        yield _code("python", entry.source(entry.whole.shown))
    yield _code("", entry.whole.tree)


def _how(run: Run) -> str:
    settings = {f"`{name}={value}`": None for process in run.processes for name, value in process.settings.items()}
    return " and ".join([NAMES[run.instrumentation], *settings])


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _anchor(number: int, entry: Entry) -> str:
    # As GitHub makes them.
    kept = (character for character in f"{number}. {entry.title}".lower() if character.isalnum() or character in " -_")
    return "".join(kept).replace(" ", "-")


def _versions() -> Iterator[str]:
    locked = {
        package["name"]: package["version"]
        for package in tomllib.loads((REPOSITORY / "uv.lock").read_text())["package"]
        if "version" in package
    }
    return (f"{name} {locked[name]}" for name in PACKAGES)
