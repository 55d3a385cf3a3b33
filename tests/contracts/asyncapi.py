"""The AsyncAPI document of the events, as something that records and models are held against."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

FORMATS = FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    """RFC 3339: a point in time, so with its offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Document:
    """One document, with its references followed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.channels = {each["address"]: self.followed(each) for each in document["channels"].values()}

    def at(self, reference: str) -> Any:
        """Return what a reference leads to. Raises KeyError where that is nowhere."""
        found: Any = self.document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found

    def followed(self, part: Any) -> Any:
        """Return a part with everything that it refers to in place."""
        if isinstance(part, dict):
            if "$ref" in part:
                return self.followed(self.at(part["$ref"]))
            return {name: self.followed(inner) for name, inner in part.items()}
        return [self.followed(inner) for inner in part] if isinstance(part, list) else part

    def messages(self, address: str) -> list[dict[str, Any]]:
        """Return the messages of a topic."""
        return list(self.channels[address]["messages"].values())

    def message(self, address: str, name: str) -> dict[str, Any]:
        """Return the one message of that name on a topic."""
        [found] = [each for each in self.messages(address) if each["name"] == name]
        return found

    def kafka(self, address: str) -> dict[str, Any]:
        """Return what is said of a topic's partitions and settings."""
        binding: dict[str, Any] = self.channels[address]["bindings"]["kafka"]
        return binding

    def objections(self, address: str, headers: Mapping[str, bytes | None], value: bytes | None) -> list[str]:
        """Return what is wrong with a record, by the one message of its topic that is meant for it."""
        texts = {name: (each or b"").decode(errors="replace") for name, each in headers.items()}
        names = [each["name"] for each in self.messages(address)]
        name = "dead letter" if names == ["dead letter"] else texts.get("ce_type", "")
        if name not in names:
            return [f"{name!r} is not on {address}"]
        message = self.message(address, name)
        payload = json.loads(value or b"") if message.get("contentType") is None else None
        unknown = [] if name == "dead letter" else texts.keys() - fields(message["headers"]).keys()
        return [
            *(f"header {each} is not in the document" for each in unknown),
            *(f"headers: {each}" for each in errors(message["headers"], texts)),
            *(f"value: {each}" for each in errors(message["payload"], payload)),
        ]


def errors(schema: dict[str, Any], instance: object) -> list[str]:
    """Return how *instance* fails a schema."""
    return [each.message for each in Draft7Validator(schema, format_checker=FORMATS).iter_errors(instance)]


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of an object, those of what it is composed of included."""
    found: dict[str, Any] = {}
    for each in schema.get("allOf", []):
        found |= fields(each)
    return found | schema.get("properties", {})


def required(schema: dict[str, Any]) -> set[str]:
    """Return the properties that an object must have."""
    return set(schema.get("required", [])).union(*(required(each) for each in schema.get("allOf", [])))


def inlined(schema: dict[str, Any]) -> Any:
    """Return a model's schema with its definitions in place."""
    return Document({"channels": {}, **schema}).followed({k: v for k, v in schema.items() if k != "$defs"})


def pairs(
    one: dict[str, Any], other: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each place that both schemas have, with what each says there."""
    yield path or "value", one, other
    for name in fields(one).keys() & fields(other).keys():
        yield from pairs(fields(one)[name], fields(other)[name], f"{path}.{name}".lstrip("."))
    if "items" in one and "items" in other:
        yield from pairs(one["items"], other["items"], f"{path}[]")


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Anything that a schema allows; of the schema only what the events use is understood."""
    match schema:
        case {"type": "object"}:
            return st.fixed_dictionaries({name: values(each) for name, each in fields(schema).items()})
        case {"type": "array", "items": items}:
            return st.lists(values(items), min_size=schema.get("minItems", 0), max_size=5)
        case {"type": "integer"}:
            return st.integers(min_value=schema.get("minimum"))
        case {"type": "string", "format": "date-time"}:
            return st.datetimes().map(lambda time: f"{time.isoformat()}Z")
        case {"type": "string", "pattern": pattern}:
            texts = st.from_regex(pattern.removesuffix("$"), fullmatch=True)
            return texts.filter(lambda text: len(text) <= schema.get("maxLength", len(text)))
        case {"type": "string"}:
            return st.text()
    raise NotImplementedError(f"{schema} is not understood: extend this function")
