"""docs/attributes.md: made of what the libraries declare in their modules `own_attributes`."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "attributes.md"
HEAD: Final = """\
# Attributes and headers of our own

What this system writes on spans and into headers of messages beyond the semantic conventions of OpenTelemetry. Each
library declares what it writes in a module `own_attributes`; `make attributes` writes this page from them.

"""
# By name, its type, its meaning, and the package that writes it.
Declared = Mapping[str, tuple[str, str, str]]


def declared(kind: str) -> Declared:
    """Return all `ATTRIBUTES`, or all `HEADERS`, that the packages of the libraries declare."""
    found = {}
    for file in sorted(ROOT.glob("libs/*/src/*/own_attributes.py")):
        package = file.parent.name
        module = import_module(f"{package}.own_attributes")
        for name, (type_, meaning) in getattr(module, kind, {}).items():
            assert name not in found, f"{name} is declared by {found[name][2]} and by {package}"
            found[name] = (type_, meaning, package)
    return found


def render() -> str:
    """Return the whole page."""
    return HEAD + "\n".join(
        [
            "## Attributes of spans\n",
            *_table(declared("ATTRIBUTES")),
            "\n## Headers of messages that are set aside\n",
            "`retry.*` are on messages in a retry topic, `dlq.*` on dead letters. A header is text: an int is",
            "written in decimal digits.\n",
            *_table(declared("HEADERS")),
            "",
        ]
    )


def _table(rows: Declared) -> Iterator[str]:
    yield "| name | type | meaning | written by |"
    yield "|---|---|---|---|"
    for name, (type_, meaning, package) in sorted(rows.items()):
        yield f"| `{name}` | {type_} | {meaning} | {package} |"
