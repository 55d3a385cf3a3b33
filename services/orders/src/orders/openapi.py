"""The description of the HTTP interface: OpenAPI 3.1."""

from typing import Any

from orders.requests import PlaceOrder
from orders.store import KEYS

_TRACE_ID = {"type": ["string", "null"], "pattern": "^[0-9a-f]{32}$"}
_SUMMARY = {
    "order_id": {"type": "string", "format": "uuid"},
    "status": {"type": "string", "enum": ["accepted"]},
    "trace_id": {**_TRACE_ID, "description": "The trace that shows the order's journey."},
    "journey_url": {
        "type": ["string", "null"],
        "format": "uri-reference",
        "description": "The page that shows the journey, on this server.",
    },
    "trace_url": {"type": ["string", "null"], "format": "uri"},
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, schema: str, media_type: str = "application/json", **headers: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {media_type: {"schema": _ref(schema)}}}
    if headers:
        answer["headers"] = {name.replace("_", "-"): {"schema": schema} for name, schema in headers.items()}
    return answer


def _problem(description: str, **headers: Any) -> dict[str, Any]:
    return _answer(description, "Problem", "application/problem+json", **headers)


def _schemas() -> dict[str, Any]:
    place_order = PlaceOrder.model_json_schema(ref_template="#/components/schemas/{model}")
    nested = place_order.pop("$defs")
    return {
        **nested,
        "PlaceOrder": place_order,
        "Accepted": {"type": "object", "required": list(_SUMMARY), "properties": _SUMMARY},
        "Order": {
            "type": "object",
            "required": [*_SUMMARY, "placed_at", "customer", "currency", "items"],
            "properties": {
                **_SUMMARY,
                "placed_at": {"type": "string", "format": "date-time"},
                "customer": _ref("Customer"),
                "currency": {"type": "string"},
                "items": {"type": "array", "items": _ref("Item")},
            },
        },
        "Document": {"type": "object"},
        "Status": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
        "Problem": {
            "type": "object",
            "description": "RFC 9457",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "What to do."},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["field", "problem"],
                        "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
                    },
                },
                "order_id": {"type": "string"},
            },
        },
    }


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Orders", "version": "1.0.0", "description": "Place an order; its invoice arrives by e-mail."},
    "paths": {
        "/orders": {
            "post": {
                "operationId": "placeOrder",
                "parameters": [
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "description": "The same key with the same order gives the first answer and no second order, "
                        f"for {KEYS.keep.days} days.",
                        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                    },
                    {
                        "name": "traceparent",
                        "in": "header",
                        "description": "W3C Trace Context: the journey becomes part of the caller's trace.",
                        "schema": {"type": "string"},
                    },
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": _ref("PlaceOrder"),
                            "example": {
                                "customer": {"email": "ada@example.com"},
                                "currency": "EUR",
                                "items": [{"sku": "BOOK-1", "quantity": 2, "unit_price": "19.90"}],
                            },
                        }
                    },
                },
                "responses": {
                    "202": _answer(
                        "Accepted: it will be billed.",
                        "Accepted",
                        Location={"type": "string"},
                        traceresponse={"type": "string"},
                    ),
                    "400": _problem("Malformed JSON or Idempotency-Key."),
                    "409": _problem("The Idempotency-Key belongs to another order."),
                    "413": _problem("The body is larger than 64 KB."),
                    "415": _problem("The body is not application/json."),
                    "422": _problem("The order does not match the schema; `errors` lists the fields."),
                    "503": _problem("Nothing was stored; try again.", Retry_After={"type": "string"}),
                },
            }
        },
        "/orders/{order_id}": {
            "get": {
                "operationId": "showOrder",
                "parameters": [{"name": "order_id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": _answer("The order.", "Order"),
                    "404": _problem("There is no such order."),
                    "503": _problem("The order cannot be read now.", Retry_After={"type": "string"}),
                },
            }
        },
        "/asyncapi.json": {
            "get": {
                "operationId": "describeEvents",
                "responses": {"200": _answer("AsyncAPI: what the services tell each other through Kafka.", "Document")},
            }
        },
        "/healthz": {"get": {"operationId": "alive", "responses": {"200": _answer("The process lives.", "Status")}}},
        "/readyz": {
            "get": {
                "operationId": "ready",
                "responses": {
                    "200": _answer("Orders can be taken.", "Status"),
                    "503": _problem("Orders cannot be taken now.", Retry_After={"type": "string"}),
                },
            }
        },
    },
    "components": {"schemas": _schemas()},
}
