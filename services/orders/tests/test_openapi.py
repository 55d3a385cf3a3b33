"""The description of the HTTP interface, and the interface held against it."""

import re
from typing import Any

import pytest
import schemathesis
from eventbus import Database
from flask.testing import FlaskClient
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from orders.app import create_app
from orders.openapi import DOCUMENT

OPERATIONS = [f"{method.upper()} {path}" for path, operations in DOCUMENT["paths"].items() for method in operations]
# Of the page of journeys, which is not a part of this interface.
PAGE = {
    "GET /",
    "GET /journeys/{trace_id}",
    "GET /page/{path:filename}",
    "GET /page/form/{path:filename}",
    "GET /api/journeys",
    "GET /api/journeys/{id}",
}
# To JSON Schema 2.0 is an integer, and an e-mail address need not be one that can be delivered to.
STRICTER = re.compile(r"items\.\d+\.quantity|customer\.email")


@pytest.fixture(scope="module")
def interface(long_lived: FlaskClient) -> OpenApiSchema:
    return schemathesis.openapi.from_wsgi("/openapi.json", long_lived.application)


def test_the_description_is_valid_openapi(interface: OpenApiSchema) -> None:
    interface.validate()

    assert interface.raw_schema == DOCUMENT
    assert interface.specification.version == "3.1.0"


def test_the_description_names_every_route_and_no_other(database: Database) -> None:
    routes = {
        f"{method} {str(rule).replace('<', '{').replace('>', '}')}"
        for rule in create_app(database).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes - PAGE - {"GET /openapi.json"} == set(OPERATIONS)


# By hand, since schemathesis 4.32's own plugin does not work with pytest 9.2.
@pytest.mark.parametrize(
    ("name", "mode"),
    [*((name, GenerationMode.POSITIVE) for name in OPERATIONS), ("POST /orders", GenerationMode.NEGATIVE)],
)
def test_the_interface_does_what_its_description_says(
    interface: OpenApiSchema, name: str, mode: GenerationMode
) -> None:
    operation = interface.find_operation_by_label(name)
    assert operation

    @settings(deadline=None, max_examples=40)
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])

        if mode.is_positive and answer.status_code == 422:
            assert all(STRICTER.fullmatch(error["field"]) for error in answer.json()["errors"])

    holds()


def test_the_example_of_the_description_is_accepted(client: FlaskClient, interface: OpenApiSchema) -> None:
    operation = DOCUMENT["paths"]["/orders"]["post"]
    [example] = [media["example"] for media in operation["requestBody"]["content"].values()]
    accepted = client.post("/orders", json=example)
    shown = client.get(accepted.headers["Location"])

    assert (accepted.status_code, shown.status_code) == (202, 200)
    interface["/orders"]["POST"].validate_response(accepted)
    interface["/orders/{order_id}"]["GET"].validate_response(shown)
