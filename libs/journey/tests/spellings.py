"""One trace, as each of its writers and keepers spells it: made here from the plainest form."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TRACE = "9c526c826e15139ec8de4b4a0a7d4a9c"
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
Change = Callable[[str, Any], tuple[str, Any]]


def span(id: str, parent: str, name: str, kind: int, at: int, **more: Any) -> dict[str, Any]:
    start = 1_795_000_000_000_000_000 + at * 1_000_000
    topic = [{"key": "messaging.destination.name", "value": {"stringValue": "plays"}}]
    offset = [{"key": "messaging.kafka.offset", "value": {"intValue": "490"}}]
    return {
        "traceId": TRACE,
        "spanId": id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 3_000_000),
        "attributes": topic + offset if kind > 3 else [],
        **more,
    }


def of_service(name: str, *spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}]}


def requests() -> list[dict[str, Any]]:
    """A message was sent, and handling it failed."""
    return [
        of_service(
            "web",
            span("b78bf4be68055590", "", "post /play", 2, 0),
            span("bb02fa7d035fd839", "b78bf4be68055590", "send plays", 4, 1),
        ),
        of_service(
            "counter",
            span("9940335474a0da38", "bb02fa7d035fd839", "process plays", 5, 9, status={"code": 2, "message": "boom"}),
        ),
    ]


def zipkin() -> list[dict[str, Any]]:
    """The same trace, as Zipkin has it."""
    found = []
    for request, service in zip(requests(), ("web", "counter"), strict=True):
        for each in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            tags = {tag["key"]: next(iter(tag["value"].values())) for tag in each["attributes"]}
            error = {"error": "boom", "otel.status_description": "boom"} if "status" in each else {}
            found.append(
                {
                    "traceId": TRACE,
                    "id": each["spanId"],
                    "name": each["name"],
                    "kind": KINDS[each["kind"]],
                    "timestamp": int(each["startTimeUnixNano"]) // 1000,
                    "duration": 3000,
                    "localEndpoint": {"serviceName": service},
                    "tags": {**tags, **error},
                    **({"parentId": each["parentSpanId"]} if "parentSpanId" in each else {}),
                }
            )
    return found


def changed(value: Any, change: Change) -> Any:
    """The same JSON with each field changed, the inner ones first."""
    if isinstance(value, list):
        return [changed(each, change) for each in value]
    if isinstance(value, dict):
        return dict(change(name, changed(content, change)) for name, content in value.items())
    return value


def snake_case(name: str, value: Any) -> tuple[str, Any]:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower(), value


def enum_names(name: str, value: Any) -> tuple[str, Any]:
    if name == "kind":
        return name, f"SPAN_KIND_{KINDS[value]}"
    return name, "STATUS_CODE_ERROR" if name == "code" else value


def ids(spell: Callable[[str], str]) -> Change:
    names = ("traceId", "spanId", "parentSpanId", "id", "parentId")
    return lambda name, value: (name, spell(value) if name in names else value)


def in_base64(id: str) -> str:
    return base64.b64encode(bytes.fromhex(id)).decode()


def numbers(name: str, value: Any) -> tuple[str, Any]:
    return name, int(value) if name in ("startTimeUnixNano", "endTimeUnixNano", "intValue") else value


def numbers_as_texts(name: str, value: Any) -> tuple[str, Any]:
    return name, str(value) if name in ("kind", "code") else value


def old_scopes(name: str, value: Any) -> tuple[str, Any]:
    names = {"scopeSpans": "instrumentationLibrarySpans", "scope": "instrumentationLibrary"}
    return names.get(name, name), value


def with_nulls(*names: str) -> Change:
    """Everything that may be absent is there, and null."""

    def change(name: str, value: Any) -> tuple[str, Any]:
        if name in ("spans", "resourceSpans", "scopeSpans", "attributes"):
            value = [dict.fromkeys(names) | each if name == "spans" else each for each in value] or None
        if name == "value":
            value = {"arrayValue": None, **value}
        return name, value

    return change


def zero_parents(name: str, value: Any) -> tuple[str, Any]:
    return name, [{"parentSpanId": "0" * 16} | each for each in value] if name == "spans" else value


def lines(documents: list[Any]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in documents).encode()


def spelled(*changes: Change) -> bytes:
    documents: Any = requests()
    for change in changes:
        documents = changed(documents, change)
    return lines(documents)


def resources() -> list[Any]:
    return [each for request in requests() for each in request["resourceSpans"]]


NULLS = ("parentSpanId", "traceState", "events", "links", "status", "droppedLinksCount", "flags")
OTLP: Mapping[str, bytes] = {
    "enum names": spelled(enum_names),
    "short enum names": spelled(enum_names).replace(b"SPAN_KIND_", b"").replace(b"STATUS_CODE_", b""),
    "enum numbers as texts": spelled(numbers_as_texts),
    "numbers": spelled(numbers),
    "snake_case": spelled(snake_case),
    "base64 ids": spelled(ids(in_base64)),
    "base64 ids for addresses": spelled(ids(lambda id: in_base64(id).rstrip("=").replace("+", "-").replace("/", "_"))),
    "protobuf's own JSON": spelled(enum_names, ids(in_base64), snake_case),
    "upper-case ids": spelled(ids(str.upper)),
    "null fields": spelled(with_nulls(*NULLS)),
    "zero parents": spelled(zero_parents),
    "zero parents in base64": spelled(zero_parents, ids(in_base64)),
    "before OTLP 1.0": spelled(old_scopes),
    "one request": lines([{"resourceSpans": resources()}]),
    "an array": json.dumps(requests()).encode(),
    "an array over several lines": json.dumps(requests(), indent=0).encode(),
    "pretty": json.dumps({"resourceSpans": resources()}, indent=2).encode(),
    "several, pretty": "\n".join(json.dumps(each, indent=4) for each in requests()).encode(),
    "Tempo's API v1": lines([{"batches": resources()}]),
    "Tempo's API v2": lines([{"trace": {"resourceSpans": resources()}, "metrics": {}}]),
    "Jaeger's API v3": lines([{"result": each} for each in requests()]),
    "resources alone": lines(resources()),
    "a byte order mark": b"\xef\xbb\xbf" + spelled(),
    "UTF-16": ("\ufeff" + spelled().decode()).encode("utf-16-le"),
    "UTF-16, the other way round": ("\ufeff" + spelled().decode()).encode("utf-16-be"),
    "a byte order mark, pretty": b"\xef\xbb\xbf" + json.dumps(requests(), indent=2).encode(),
    "line ends of Windows": b"\r\n\r\n" + spelled().replace(b"\n", b"\r\n"),
    "among other signals": lines([{"resourceMetrics": []}, *requests(), {"resourceLogs": []}, {}]),
}
ZIPKIN: Mapping[str, bytes] = {
    "a trace": json.dumps(zipkin()).encode(),
    "a trace, pretty": json.dumps(zipkin(), indent=2).encode(),
    "a list of traces": json.dumps([zipkin(), []], indent=1).encode(),
    "a trace a line": lines([zipkin()]),
    "a span a line": lines(zipkin()),
    "upper-case ids": json.dumps(changed(zipkin(), ids(str.upper))).encode(),
    "zero parents": json.dumps([{"parentId": "0" * 16} | each for each in zipkin()]).encode(),
    "null fields": json.dumps(
        [dict.fromkeys(("parentId", "remoteEndpoint", "annotations", "shared", "debug")) | each for each in zipkin()]
    ).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(zipkin()).encode(),
}
