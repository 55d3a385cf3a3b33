"""Names of our own are declared once, and docs/attributes.md says what they mean."""

import json
import re

import pytest

from tests.attributes.page import PAGE, ROOT, declared, render

OURS = re.compile(r"""["']((?:journey|demo|dlq|retry|smtp)\.[a-z][a-z0-9_.-]*)["']""")
SOURCES = sorted(
    file
    for pattern in ("libs/*/src/**/*.py", "libs/*/src/**/*.js", "services/*/src/**/*.py", "services/*/src/**/*.js")
    for file in ROOT.glob(pattern)
)
MODULES = {"journey." + file.stem for file in ROOT.glob("libs/journey/src/journey/*")} | {
    "journey.toml",
    "smtp.connect",
}


def test_the_page_is_made_of_the_declarations() -> None:
    assert PAGE.read_text() == render(), "run `make attributes`"


@pytest.mark.parametrize("kind", ["ATTRIBUTES", "HEADERS"])
def test_each_has_a_type_and_a_meaning(kind: str) -> None:
    types = {type_ for type_, _, _ in declared(kind).values()}

    assert types <= {"int", "string", "boolean"}
    assert all(meaning.endswith(".") for _, meaning, _ in declared(kind).values())


def test_each_name_in_the_sources_is_declared() -> None:
    known = declared("ATTRIBUTES") | declared("HEADERS")
    unknown = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in SOURCES
        for name in OURS.findall(file.read_text())
        if name not in MODULES
        and not any(each == name or (name.endswith("-") and each.startswith(name)) for each in known)
    }

    assert len(SOURCES) > 100
    assert not unknown


def test_the_contract_has_no_header_of_ours_that_is_not_declared() -> None:
    (file,) = (file for file in ROOT.rglob("asyncapi.json") if not {".venv", ".stack"} & set(file.parts))
    schemas = json.loads(file.read_text())["components"]["schemas"]
    headers = {*schemas["RetryHeaders"]["properties"], *schemas["DeadLetterHeaders"]["properties"]}

    assert {name for name in headers if name.startswith(("dlq.", "retry."))} <= declared("HEADERS").keys()


def test_a_library_writes_each_name_once() -> None:
    names = set(declared("ATTRIBUTES"))
    places = {
        name: [
            str(file.relative_to(ROOT))
            for file in SOURCES
            if file.suffix == ".py" and name in OURS.findall(file.read_text())
        ]
        for name in names
    }
    writers = {
        name: [place for place in found if not place.startswith("libs/journey/")] for name, found in places.items()
    }

    assert all(len(found) == 1 for found in writers.values()), writers
