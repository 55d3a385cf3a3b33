"""The AsyncAPI document says what the code does: every event of every service, every topic, every header."""

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from eventbus import Event, kafka
from eventbus.cloudevents import headers_of
from eventbus.worker.consume import topics_of
from eventbus.worker.origin import Origin, retry_headers
from hypothesis import given, settings
from stack.catalogue import services

from tests.contracts.asyncapi import Document, errors, fields, inlined, pairs, required, values
from tests.contracts.chain import Chain
from tests.contracts.declared import events_of, service_of
from tests.contracts.test_events import LINKS, REQUESTS, WRITTEN
from tests.contracts.wire import Wire, example

CLASSES = [each for service in services() for each in events_of(service.name).values()]
GROUPS = sorted({service_of(reader) for _, reader in LINKS})
each_reader = pytest.mark.parametrize(
    "reader", [reader for _, reader in LINKS], ids=lambda reader: f"{reader.type}-{service_of(reader)}"
)
# What a reader may ask of a value beyond its type.
DEMANDS = ("pattern", "format", "minimum", "maxLength", "minItems")


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(json.loads(resources.files("shop_contracts").joinpath("asyncapi.json").read_text()))


def test_orders_serves_the_document(chain: Chain, document: Document) -> None:
    answer = chain.web.get("/asyncapi.json")

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.get_json() == document.document


def references(part: Any) -> Iterator[str]:
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else []:
        yield from references(inner)
    if isinstance(part, dict) and "$ref" in part:
        yield part["$ref"]


def test_every_reference_leads_somewhere_and_everything_is_used(document: Document) -> None:
    found = set(references(document.document))
    components = document.document["components"]
    defined = {f"#/components/{kind}/{name}" for kind, each in components.items() for name in each}
    channels = {f"#/channels/{name}" for name in document.document["channels"]}

    assert all(document.at(each) is not None for each in found)
    assert found == defined | channels


def test_the_tests_know_every_event_class() -> None:
    assert set(CLASSES) == {*WRITTEN.values(), *(reader for _, reader in LINKS)}


@pytest.mark.parametrize("event", CLASSES, ids=[f"{service_of(each)}-{each.type}" for each in CLASSES])
def test_every_event_is_a_message_of_its_topic_under_its_type_and_key(document: Document, event: type[Event]) -> None:
    message = document.message(event.topic, event.type)
    [binding] = message["bindings"].values()

    assert fields(message["headers"])["ce_type"] == {"const": event.type}
    assert binding["x-key-field"] == event.key_field
    assert fields(message["payload"])[event.key_field]["type"] == "string"


def test_no_message_is_without_a_class(document: Document) -> None:
    described = {(each["name"], address) for address in document.channels for each in document.messages(address)} - {
        ("dead letter", f"{group}.dlq") for group in GROUPS
    }
    again = {(reader.type, f"{service_of(reader)}.retry") for _, reader in LINKS}

    assert described == {(each.type, each.topic) for each in CLASSES} | again


@pytest.mark.parametrize("writer", WRITTEN.values(), ids=lambda writer: writer.type)
def test_the_document_has_each_field_that_is_written_and_no_other(document: Document, writer: type[Event]) -> None:
    written = inlined(writer.model_json_schema(mode="serialization"))
    for path, said, done in pairs(document.message(writer.topic, writer.type)["payload"], written):
        assert (path, said["type"]) == (path, done["type"])
        assert (path, fields(said).keys()) == (path, fields(done).keys())
        assert (path, required(said)) == (path, required(done))


@pytest.mark.parametrize(
    "reader", [reader for _, reader in LINKS], ids=lambda reader: f"{reader.type}-{service_of(reader)}"
)
def test_the_document_promises_all_that_a_reader_demands(document: Document, reader: type[Event]) -> None:
    demanded = inlined(reader.model_json_schema())
    for path, said, needed in pairs(document.message(reader.topic, reader.type)["payload"], demanded):
        assert (path, said["type"]) == (path, needed["type"])
        assert (path, required(needed) - required(said)) == (path, set())
        assert (path, fields(needed).keys() - fields(said).keys()) == (path, set())
        for each in DEMANDS:
            if each in needed:
                assert (path, each, said.get(each)) == (path, each, needed[each])


@pytest.mark.parametrize(
    "reader", [reader for _, reader in LINKS], ids=lambda reader: f"{reader.type}-{service_of(reader)}"
)
def test_whatever_the_document_allows_is_read(document: Document, reader: type[Event]) -> None:
    wire = example(reader.type)

    @settings(deadline=None, max_examples=50)
    @given(content=values(document.message(reader.topic, reader.type)["payload"]))
    def holds(content: Any) -> None:
        assert wire.with_content(content).read_as(reader).event.key == content[reader.key_field]

    holds()


def objections(document: Document, wire: Wire) -> list[str]:
    return document.objections(wire.topic, dict(wire.headers), wire.value)


@settings(deadline=None, max_examples=30)
@given(request=REQUESTS)
def test_whatever_is_written_the_document_allows(chain: Chain, document: Document, request: dict[str, Any]) -> None:
    order = chain.order(request)
    if order is None:  # an address that cannot be delivered to
        return

    assert objections(document, order) == []
    assert objections(document, chain.invoice(order)) == []


@pytest.mark.parametrize("writer", WRITTEN.values(), ids=lambda writer: writer.type)
def test_the_document_allows_the_examples_and_nothing_that_lacks_a_field(
    document: Document, writer: type[Event]
) -> None:
    wire = example(writer.type)

    assert objections(document, wire) == []
    for name in wire.content:
        lacking = {other: value for other, value in wire.content.items() if other != name}
        assert objections(document, wire.with_content(lacking)) == [f"value: {name!r} is a required property"]


def test_the_headers_are_those_of_the_bus(document: Document) -> None:
    origin = Origin("orders", 0, 1, 2, 3, "2026-03-04T05:06:07.123456+00:00")
    event = example("order.placed.v1").read_as(WRITTEN["order.placed.v1"]).event
    attributes = dict(headers_of(event, event_id="e", source="orders"))
    retried = dict(retry_headers(origin, tries=1, due=5.0))
    trace = {"traceparent", "tracestate", "baggage"}

    schemas = document.document["components"]["schemas"]
    assert required(schemas["EventHeaders"]) == attributes.keys()
    assert fields(schemas["EventHeaders"]).keys() == attributes.keys() | trace
    assert required(schemas["RetryHeaders"]) == fields(schemas["RetryHeaders"]).keys() == retried.keys()
    again = document.message("billing.retry", "order.placed.v1")
    texts = {name: value.decode() for name, value in (attributes | retried).items()}
    assert errors(again["headers"], texts) == []


@pytest.mark.parametrize("topic", ["orders", "invoices", *(f"{g}.{kind}" for g in GROUPS for kind in ("retry", "dlq"))])
def test_the_topics_are_made_as_the_document_says(document: Document, topic: str) -> None:
    own = {name: each for group in GROUPS for name, each in topics_of(group).items()}
    made = {**kafka.kept_for(kafka.RETENTION), **own.get(topic, {})}
    said = document.kafka(topic)

    assert said["partitions"] == kafka.PARTITIONS
    assert {name: text(value) for name, value in said["topicConfiguration"].items()} == made


def text(value: Any) -> str:
    """Return a setting as Kafka writes it."""
    return ",".join(value) if isinstance(value, list) else str(value)


def test_every_topic_of_the_services_is_in_the_document(document: Document) -> None:
    aside = {name for group in GROUPS for name in topics_of(group) if not name.endswith(".done")}

    assert document.channels.keys() == {each.topic for each in CLASSES} | aside


def test_the_operations_are_those_of_the_services(document: Document) -> None:
    sent = {(service_of(writer), "send", writer.topic) for writer in WRITTEN.values()}
    received = {(service_of(reader), "receive", reader.topic) for _, reader in LINKS}
    aside = {
        (group, action, f"{group}.{kind}")
        for group in GROUPS
        for action, kind in (("send", "retry"), ("receive", "retry"), ("send", "dlq"))
    }
    operations = [document.followed(each) for each in document.document["operations"].values()]
    found = {(each["tags"][0]["name"], each["action"], each["channel"]["address"]) for each in operations}
    groups = {
        each["tags"][0]["name"]: each["bindings"]["kafka"]["groupId"] for each in operations if "bindings" in each
    }

    assert found == sent | received | aside
    assert groups == {group: {"const": group} for group in GROUPS}
