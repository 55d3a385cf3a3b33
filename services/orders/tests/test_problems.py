"""Every way to be refused: a problem document that says what to do, and nothing stored."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from eventbus import Database
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from orders.requests import PlaceOrder

JSON = {"Content-Type": "application/json"}


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def problem(answer: TestResponse) -> tuple[int, dict[str, Any]]:
    """Return status and document of a refusal, after checking that it is a problem document (RFC 9457)."""
    document = json.loads(answer.text)
    assert answer.content_type == "application/problem+json"
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["status"] == answer.status_code
    assert document["detail"]
    return answer.status_code, document


def rows(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("orders", "outbox")
        }


NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \n ",
    "words": b"one book, please",
    "a truncated order": b'{"customer": {"email": "ada@example.com"}, "curr',
    "two orders": b"{} {}",
    "a trailing comma": b'{"currency": "EUR",}',
    "single quotes": b"{'currency': 'EUR'}",
    "bytes that are not UTF-8": b'{"currency": "\xff\xfe"}',
    "UTF-16": '{"currency": "EUR"}'.encode("utf-16"),
    "half a surrogate pair": rb'{"currency": "\ud800"}',
    "a raw line break in a string": b'{"currency": "E\nR"}',
    "objects nested 9,000 deep": b'{"a":' * 9_000,
    "arrays nested 60,000 deep": b"[" * 60_000,
    "closed arrays nested 30,000 deep": b"[" * 30_000 + b"]" * 30_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_json_is_refused(client: FlaskClient, database: Database, body: bytes) -> None:
    status, document = problem(client.post("/orders", data=body, headers=JSON))

    assert status == 400
    assert "not JSON" in document["detail"]
    assert rows(database) == {"orders": 0, "outbox": 0}


# Where the wrong value goes (also the field that the answer names), and the value.
WRONG: list[tuple[str, object]] = [
    ("customer", MISSING),
    ("customer", None),
    ("customer", "ada@example.com"),
    ("customer.email", MISSING),
    ("customer.email", None),
    ("customer.email", ""),
    ("customer.email", "ada"),
    ("customer.email", "ada@localhost"),
    ("customer.email", "ada@example.com\n"),
    ("customer.email", "ada@example.com\r\nBcc: eve@example.com"),
    ("customer.email", "ada\n@example.com"),
    ("customer.email", "ada@exam\x00ple.com"),
    ("customer.email", "ada@example.com,eve@example.com"),
    ("customer.email", "Ada <ada@example.com>"),
    ("customer.email", '"a b"@example.com'),
    ("customer.email", "ada@[127.0.0.1]"),
    ("customer.email", "adä@example.com"),
    ("customer.email", f"{'a' * 65}@example.com"),
    ("customer.email", f"ada@{'example.' * 31}com"),
    ("customer.name", "Ada"),
    ("currency", MISSING),
    ("currency", "eur"),
    ("currency", "EURO"),
    ("currency", "EUR\n"),
    ("currency", "\N{CYRILLIC CAPITAL LETTER IE}UR"),
    ("currency", 978),
    ("items", MISSING),
    ("items", None),
    ("items", {}),
    ("items", []),
    ("items", [{"sku": "A", "quantity": 1, "unit_price": "1.00"}] * 101),
    ("items.0", "BOOK-1"),
    ("items.1.sku", MISSING),
    ("items.1.sku", ""),
    ("items.1.sku", "-"),
    ("items.1.sku", "a b"),
    ("items.1.sku", "a\n"),
    ("items.1.sku", "<b>"),
    ("items.1.sku", "a" * 65),
    ("items.1.sku", 7),
    ("items.0.quantity", MISSING),
    ("items.0.quantity", 0),
    ("items.0.quantity", -1),
    ("items.0.quantity", 10_001),
    ("items.0.quantity", 10**4000),
    ("items.0.quantity", True),
    ("items.0.quantity", "2"),
    ("items.0.quantity", 2.0),
    ("items.0.quantity", 1e308),
    ("items.0.quantity", float("nan")),
    ("items.0.quantity", float("inf")),
    ("items.0.unit_price", MISSING),
    ("items.0.unit_price", None),
    ("items.0.unit_price", 19.9),
    ("items.0.unit_price", 19),
    ("items.0.unit_price", True),
    ("items.0.unit_price", float("nan")),
    ("items.0.unit_price", float("-inf")),
    ("items.0.unit_price", "NaN"),
    ("items.0.unit_price", "Infinity"),
    ("items.0.unit_price", ""),
    ("items.0.unit_price", "1e2"),
    ("items.0.unit_price", "1_000"),
    ("items.0.unit_price", "19,90"),
    ("items.0.unit_price", "19.901"),
    ("items.0.unit_price", ".5"),
    ("items.0.unit_price", "5."),
    ("items.0.unit_price", " 5"),
    ("items.0.unit_price", "5\n"),
    ("items.0.unit_price", "\N{ARABIC-INDIC DIGIT FIVE}"),
    ("items.0.unit_price", "-0.01"),
    ("items.0.unit_price", "1000000.00"),
    ("items.0.unit_price", "9" * 5000),
    ("items.0.discount", "1.00"),
    ("coupon", "SPRING"),
]


def put(order: dict[str, Any], path: str, value: object) -> None:
    *way, last = path.split(".")
    place: Any = order
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is MISSING:
        place.pop(last, None)
    else:
        place[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[f"{path}={str(value)[:24]!a}" for path, value in WRONG])
def test_a_wrong_field_is_refused_by_its_name(
    client: FlaskClient, database: Database, order: dict[str, Any], path: str, value: object
) -> None:
    put(order, path, value)
    status, document = problem(client.post("/orders", json=order))

    assert status == 422
    assert [error["field"] for error in document["errors"]] == [path]
    assert document["errors"][0]["problem"]
    assert rows(database) == {"orders": 0, "outbox": 0}


@pytest.mark.parametrize("body", ["null", "[]", "[{}]", '"order"', "7", "true", "NaN", "-Infinity", "1e400"])
def test_json_that_is_no_object_is_refused(client: FlaskClient, body: str) -> None:
    status, document = problem(client.post("/orders", data=body, headers=JSON))

    assert status == 422
    assert [error["field"] for error in document["errors"]] == ["body"]


def test_all_wrong_fields_are_listed(client: FlaskClient, order: dict[str, Any]) -> None:
    put(order, "customer.email", "ada")
    put(order, "currency", "euro")
    put(order, "items.1.quantity", 0)
    _, document = problem(client.post("/orders", json=order))

    assert [error["field"] for error in document["errors"]] == ["customer.email", "currency", "items.1.quantity"]


def test_a_refusal_does_not_quote_what_was_sent(client: FlaskClient, order: dict[str, Any]) -> None:
    put(order, "customer.email", "ada lovelace@example.com")
    put(order, "items.0.sku", "secret sku")
    answer = client.post("/orders", json=order)

    assert answer.status_code == 422
    assert "lovelace" not in answer.text
    assert "secret" not in answer.text


def test_an_order_of_64_kilobytes_is_read_and_one_byte_more_is_not(client: FlaskClient, order: dict[str, Any]) -> None:
    limit = json.dumps(order).ljust(64 * 1024)
    read = client.post("/orders", data=limit, headers=JSON)
    status, document = problem(client.post("/orders", data=limit + " ", headers=JSON))

    assert read.status_code == 202
    assert status == 413
    assert "64 KB" in document["detail"]


def test_a_chunked_body_is_not_cut_off_at_64_kilobytes_but_refused(
    client: FlaskClient, database: Database, order: dict[str, Any]
) -> None:
    # What gunicorn says of a chunked body.
    chunked = {"wsgi.input_terminated": True}
    headers = {**JSON, "Transfer-Encoding": "chunked"}
    limit = json.dumps(order).encode().ljust(64 * 1024)
    read, refused = (
        client.post("/orders", input_stream=BytesIO(body), headers=headers, environ_overrides=chunked)
        for body in (limit, limit + b"and more")
    )

    status, _ = problem(refused)
    assert (read.status_code, status) == (202, 413)
    assert rows(database) == {"orders": 1, "outbox": 1}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "%"}],
)
def test_a_body_of_another_type_is_refused(client: FlaskClient, order: dict[str, Any], headers: dict[str, str]) -> None:
    status, document = problem(client.post("/orders", data=json.dumps(order), headers=headers))

    assert status == 415
    assert "application/json" in document["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/orders/",
        "/orders/a/b",
        "/orders/00000000-0000-0000-0000-000000000000",
        "/orders/%00",
        "/orders/%ff%fe",
        "/orders/' OR 1=1 --",
        "/orders/%2e%2e%2fhealthz",
        f"/orders/{'9' * 5000}",
        "/page/x",
    ],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    status, document = problem(client.get(path))

    assert status == 404
    assert "/openapi.json" in document["detail"] or "POST /orders" in document["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/orders", "POST"),
        ("DELETE", "/orders/1", "GET"),
        ("POST", "/healthz", "GET"),
        ("BREW", "/", "GET"),
        ("BREW", "/nothing", None),
    ],
)
def test_a_method_that_is_not_there_is_refused_with_those_that_are(
    client: FlaskClient, method: str, path: str, allowed: str | None
) -> None:
    answer = client.open(path, method=method)
    status, _ = problem(answer)

    assert status == (405 if allowed else 404)
    assert allowed is None or allowed in answer.headers["Allow"]


@contextmanager
def locked(database: Database, database_url: str) -> Iterator[None]:
    """Hold the lock as another process would, and let the service wait for it 50 ms instead of 15 s."""
    with database.write() as connection:  # at rest there is one connection to write by, which keeps the setting
        wait = "SET lock_timeout = 50" if connection.dialect.name == "postgresql" else "PRAGMA busy_timeout = 50"
        connection.execute(text(wait))
    other = Database(database_url)
    with other.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE orders IN EXCLUSIVE MODE"))
        yield
    other.close()


def test_while_the_database_is_locked_orders_are_put_off_and_can_be_looked_up(
    client: FlaskClient, database: Database, database_url: str, order: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "cart-17"}
    stored = client.post("/orders", json=order)
    with locked(database, database_url):
        answer = client.post("/orders", json=order, headers=key)
        shown = client.get(stored.headers["Location"])
    again = client.post("/orders", json=order, headers=key)

    status, document = problem(answer)
    assert status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Nothing was stored" in document["detail"]
    assert (shown.status_code, again.status_code) == (200, 202)
    assert rows(database) == {"orders": 2, "outbox": 2}


@pytest.mark.parametrize(("missing", "other"), [("orders", "outbox"), ("outbox", "orders")])
def test_an_order_and_its_announcement_are_stored_together_or_not_at_all(
    client: FlaskClient, database: Database, order: dict[str, Any], missing: str, other: str
) -> None:
    with database.write() as connection:
        connection.execute(text(f"ALTER TABLE {missing} RENAME TO away"))
    answer = client.post("/orders", json=order)
    with database.write() as connection:
        connection.execute(text(f"ALTER TABLE away RENAME TO {missing}"))

    status, _ = problem(answer)
    assert (status, answer.headers["Retry-After"]) == (503, "2")
    assert rows(database) == {missing: 0, other: 0}


def test_an_order_that_the_database_never_takes_is_not_asked_for_again(
    client: FlaskClient, database: Database, order: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A value that no driver can bind.
    monkeypatch.setattr(PlaceOrder, "fingerprint", lambda _: object())
    answer = client.post("/orders", json=order)
    monkeypatch.undo()
    again = client.post("/orders", json=order)

    status, document = problem(answer)
    assert status == 500
    assert "Retry-After" not in answer.headers
    assert document["detail"] == "Nothing was stored. The same request will fail again."
    assert again.status_code == 202
    assert rows(database) == {"orders": 1, "outbox": 1}


@pytest.mark.parametrize("path", ["/readyz", "/orders/1"])
def test_without_its_tables_the_service_lives_and_is_not_ready(
    client: FlaskClient, database: Database, path: str
) -> None:
    with database.write() as connection:
        connection.execute(text("DROP TABLE outbox"))
        connection.execute(text("DROP TABLE orders"))
    answer = client.get(path)

    status, _ = problem(answer)
    assert (status, answer.headers["Retry-After"]) == (503, "2")
    assert client.get("/healthz").status_code == 200


def test_a_fault_of_our_own_is_a_problem_document_too(client: FlaskClient) -> None:
    def fail() -> str:
        raise RuntimeError("the-secret-of-ada")

    client.application.add_url_rule("/fault", view_func=fail)
    answer = client.get("/fault")

    status, _ = problem(answer)
    assert status == 500
    assert "secret" not in answer.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["19.90", "EUR", "A"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nearly(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly *value*, and sometimes anything else."""
    return value | value | value | ANYTHING


NEARLY_ORDERS = nearly(
    st.fixed_dictionaries(
        {
            "customer": nearly(st.fixed_dictionaries({"email": nearly(st.emails() | st.text().map("{}@a.de".format))})),
            "currency": nearly(st.from_regex(r"[A-Z]{3}")),
            "items": nearly(
                st.lists(
                    nearly(
                        st.fixed_dictionaries(
                            {
                                "sku": nearly(st.from_regex(r"[A-Z0-9]{1,3}")),
                                "quantity": nearly(st.integers()),
                                "unit_price": nearly(st.decimals(places=2).map(str)),
                            }
                        )
                    ),
                    max_size=3,
                )
            ),
        },
        optional={"note": ANYTHING},
    )
)
UNHURRIED = settings(deadline=None, max_examples=150)


@UNHURRIED
@given(body=st.binary(max_size=200))
def test_no_bytes_are_ever_our_fault(long_lived: FlaskClient, body: bytes) -> None:
    answer = long_lived.post("/orders", data=body, headers=JSON)

    assert answer.status_code in (400, 422)


@UNHURRIED
@given(document=NEARLY_ORDERS)
def test_no_document_is_ever_our_fault(long_lived: FlaskClient, document: object) -> None:
    answer = long_lived.post("/orders", data=json.dumps(document), headers=JSON)

    assert answer.status_code in (202, 400, 422)
    assert json.loads(answer.text)


LATIN = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"), max_size=300)


@UNHURRIED
@given(key=LATIN, trace=LATIN, content_type=LATIN)
def test_no_header_is_ever_our_fault(long_lived: FlaskClient, key: str, trace: str, content_type: str) -> None:
    headers = {"Idempotency-Key": key, "traceparent": trace, "Content-Type": content_type}
    answers = [long_lived.post("/orders", data="{}", headers={**headers, **each}) for each in ({}, JSON)]

    assert [answer.status_code for answer in answers] in ([415, 422], [415, 400])


@UNHURRIED
@given(order_id=st.binary(max_size=80))
def test_no_order_id_is_ever_our_fault(long_lived: FlaskClient, order_id: bytes) -> None:
    path = "/orders/" + "".join(f"%{byte:02x}" for byte in order_id)
    answer = long_lived.get(path)

    assert answer.status_code in (404, 308)  # 308: slashes in a row are made one
