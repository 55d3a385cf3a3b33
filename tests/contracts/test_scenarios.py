"""A scenario is declared where its service is. What else names scenarios names the same."""

import re
from pathlib import Path

import billing.faults
import notifier.faults
import orders.faults
from demo_faults.baggage import SCENARIOS

from tests.e2e.scenarios import TRACES

DECLARED = [
    name
    for service in (orders.faults, billing.faults, notifier.faults)
    for name, fault in service.SCENARIOS.items()
    if fault
]
README = Path(__file__).parents[2] / "README.md"


def test_each_scenario_is_declared_by_one_service_and_passes_as_baggage() -> None:
    assert sorted(DECLARED) == sorted(SCENARIOS)


def test_readme_and_the_end_to_end_tests_have_them_all() -> None:
    in_readme = set(re.findall(r"^\| `([a-z-]+)` \|", README.read_text(), flags=re.MULTILINE))

    assert in_readme >= SCENARIOS
    assert set(TRACES) == SCENARIOS
