"""What README and the page about running it say is so."""

import json
import re
import secrets
from pathlib import Path

import journey
import pytest
import requests
from stack import Settings

from tests.e2e.shop import Shop
from tests.order_journey import ORDER_JOURNEY

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
DOCS = (REPOSITORY / "docs").glob("*.md")
SCENARIOS = (REPOSITORY / "docs" / "scenarios.md").read_text()
RUNNING = (REPOSITORY / "docs" / "running.md").read_text()


def test_the_order_of_the_docs_is_accepted_and_travels_in_the_callers_trace(shop: Shop) -> None:
    command = re.search(r"^curl .*?'\n```", SCENARIOS, re.S | re.M)[0]
    headers = dict(header.split(": ", 1) for header in re.findall(r"-H '([^']+)'", command))
    order = json.loads(re.search(r"-d '(.*?)'", command, re.S)[1])
    # An id of its own for each run: two orders in one trace would be twelve spans.
    trace_id, span_id = secrets.token_hex(16), headers["traceparent"].split("-")[2]
    headers["traceparent"] = f"00-{trace_id}-{span_id}-01"

    answer = requests.post(f"{shop.orders_url}/orders", json=order, headers=headers, timeout=30)

    assert answer.status_code == 202
    journey.wait_for(shop.zipkin_url, trace_id, ORDER_JOURNEY, timeout=60, remote_parent=span_id)


def test_the_table_of_the_journey_is_the_one_that_the_tests_compare_with() -> None:
    rows = re.findall(r"^\| (\d) \| (\w+) \| ([A-Z]+) \| `([^`]+)` \| (\S+?),? ", README, re.M)

    assert [(int(number), service, kind, name) for number, service, kind, name, _ in rows] == [
        (row.number, row.service, row.kind, row.name) for row in ORDER_JOURNEY
    ]
    assert [parent for *_, parent in rows][1:] == [str(row.parent) for row in ORDER_JOURNEY][1:]


def test_the_drawing_shows_the_declared_journey() -> None:
    drawing = re.search(r"```\ntrace .*?```", README, re.S)[0]
    spans = re.findall(r"([a-z]+ [a-z/]+) +(\w+) +(server|producer|consumer|client) ", drawing)

    assert spans == [(row.name.lower(), row.service, row.kind.lower()) for row in ORDER_JOURNEY]


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`|=1 )make ([a-z-]+)", README + RUNNING, re.M))
    makefile = (REPOSITORY / "Makefile").read_text()

    assert named
    assert not {target for target in named if not re.search(rf"^{target}:.*## ", makefile, re.M)}


def test_the_ports_are_the_defaults_of_the_settings() -> None:
    defaults = Settings()
    table = re.findall(r"^\| ([\d, ]+) \| ([A-Z_`, ]+) \|", RUNNING, re.M)
    ports = {
        variable.strip("` "): int(port)
        for numbers, variables in table
        for port, variable in zip(numbers.split(","), variables.split(","), strict=True)
    }

    assert ports.keys() == {name.upper() for name in Settings.model_fields if name.endswith("_port")}
    assert ports == {variable: getattr(defaults, variable.lower()) for variable in ports}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{each.name}" for each in DOCS)])
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    file = REPOSITORY / page
    links = re.findall(r"\]\(((?!https?:)[^)#]+)(?:#[^)]*)?\)", file.read_text())

    assert links or page != "README.md"
    assert not [link for link in links if not (file.parent / link).exists()]


def test_the_readme_is_a_tour_and_no_manual() -> None:
    assert len(README.splitlines()) <= 120
