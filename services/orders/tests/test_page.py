"""What orders adds to the page of journeys: the form of an order. What the form does is in tests/browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_faults.baggage import SCENARIOS
from eventbus import Database
from flask.testing import FlaskClient

import orders
from orders.app import create_app
from orders.page import FORM_PATH

STATIC = Path(orders.__file__).parent / "static"


@pytest.fixture
def unused(tmp_path: Path) -> Iterator[Database]:
    """The page asks no database."""
    database = Database(f"sqlite:///{tmp_path}/orders.db")
    yield database
    database.close()


@pytest.fixture
def visitor(unused: Database) -> FlaskClient:
    return create_app(unused, demo_faults=True).test_client()


def test_the_page_has_the_form_and_its_script(visitor: FlaskClient) -> None:
    html = visitor.get("/").text

    assert 'id="order"' in html
    assert f'src="{FORM_PATH}/order.js"' in html
    assert re.findall(r"<[^>]*\s(?:style|on\w+)=", html) == []


def test_every_file_of_the_form_is_there_and_every_import_too(visitor: FlaskClient) -> None:
    files = {file.name for file in STATIC.iterdir()}
    imported = {name for file in STATIC.iterdir() for name in re.findall(r'from "(.+)"', file.read_text())}

    assert {name.removeprefix("./") for name in imported if name.startswith("./")} | {"order.js"} == files
    for path in [f"{FORM_PATH}/{name}" for name in files] + [
        f"/page/{name[3:]}" for name in imported if name[:3] == "../"
    ]:
        answer = visitor.get(path, buffered=True)
        assert (answer.status_code, "javascript" in answer.content_type) == (200, True), path


def test_the_script_never_makes_markup_of_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    for file in STATIC.iterdir():
        assert not re.findall(forbidden, file.read_text()), file.name


def test_every_answer_of_orders_is_protected(visitor: FlaskClient) -> None:
    for path in ("/", f"{FORM_PATH}/order.js", "/openapi.json", "/none"):
        headers = visitor.get(path, buffered=True).headers

        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_every_scenario_is_offered_if_scenarios_happen(visitor: FlaskClient, unused: Database) -> None:
    def offered(html: str) -> set[str]:
        return set(re.findall(r'<button type="submit" value="([^"]+)"', html))

    assert offered(visitor.get("/").text) == SCENARIOS
    without = create_app(unused).test_client().get("/").text
    assert offered(without) == set()
    assert "DEMO_FAULTS=1" in without
