"""The recipes of CONTRIBUTING name files that are there, and what stands in several of them is the same in all."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from demo_faults.baggage import SCENARIOS
from journey.doctor import Cause
from stack.catalogue import services

from tests.e2e import scenarios

REPOSITORY = Path(__file__).parents[1]
RECIPES = (REPOSITORY / "CONTRIBUTING.md").read_text().split("## Adding things")[1]
PATHS = sorted(set(re.findall(r"`((?:services|libs|deploy|tests|docs)/[^` ]+|[A-Z]+\.md)`", RECIPES)))
NAMES = [service.name for service in services()]
# An event's example is named by its type.
TYPES = [type for service in services() for type in service.writes]


def text(path: str) -> str:
    return (REPOSITORY / path).read_text()


@pytest.mark.parametrize("path", PATHS)
def test_every_file_that_a_recipe_names_is_there(path: str) -> None:
    filled_in = [path.replace("<service>", name).replace("<type>", type) for name in NAMES for type in TYPES]

    # Not every service has every file.
    assert any((REPOSITORY / each).exists() for each in filled_in)


def test_the_recipes_name_files() -> None:
    assert len(PATHS) > 20


def test_a_scenario_is_in_every_file_that_its_recipe_names() -> None:
    faults = [f"{name}.faults" for name in NAMES if importlib.util.find_spec(f"{name}.faults")]
    happen = {name for module in faults for name in importlib.import_module(module).SCENARIOS}
    page, readme = text("services/orders/src/orders/templates/order.html"), text("docs/scenarios.md")

    assert happen == SCENARIOS
    assert {name for name in happen if f"\n| `{name}` |" not in readme} == set()
    assert {name for name in happen if f'"{name}"' not in page} == set()
    assert happen == scenarios.TRACES.keys()


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_of_the_doctor_has_a_row_in_the_table_and_a_test(cause: Cause) -> None:
    tables = re.findall(r"^\| ([^|]+) \|", text("libs/journey/README.md"), re.M)
    tested = "".join(file.read_text() for file in (REPOSITORY / "libs/journey/tests").glob("test_*.py"))

    assert any(cause in first_cell for first_cell in tables)
    assert f"Cause.{cause.name}" in tested or str(cause) in tested
