"""The HTTP interface."""

import json
import logging
from functools import partial
from http import HTTPStatus
from importlib import resources

from eventbus import Database, Outbox, OutboxLimit
from flask import Flask, Response, request
from gunicorn.http.errors import NoMoreData, ParseException
from journey.web import pages
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from orders import openapi, problems
from orders.handlers import place_order
from orders.page import FORM_PATH, look
from orders.problems import Problem
from orders.requests import PlaceOrder
from orders.store import Order, Orders

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_KEY_LENGTH = 255


def create_app(
    database: Database,
    *,
    prefix: str = "",
    zipkin_url: str | None = None,
    public_zipkin_url: str | None = None,
    demo_faults: bool = False,
    outbox_limit: OutboxLimit | None = None,
) -> Flask:
    """Return the application on *database*. It asks *zipkin_url* for journeys; browsers reach it at the public one.

    It answers under *prefix*, as a proxy shows it, and without it, for who asks the process itself.
    """
    app = Flask("orders", static_url_path=FORM_PATH)
    # One more than the limit: a chunked body is cut off there without an error, and would pass for a whole one.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {prefix: app.wsgi_app} if prefix else {})  # type: ignore[method-assign]
    problems.handle_errors(app, database)
    app.register_blueprint(
        pages(
            zipkin_url or public_zipkin_url,
            look(),
            prefix=prefix,
            public_url=public_zipkin_url,
            demo_faults=demo_faults,
        )
    )
    outbox = Outbox("orders", outbox_limit)

    @app.post("/orders")
    def accept_order() -> Response:
        """Store the order and its announcement in one transaction: a 202 is a promise."""
        if request.mimetype != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the order with Content-Type: application/json.")
        key = _idempotency_key()
        wanted = PlaceOrder.model_validate_json(_body())
        fingerprint = wanted.fingerprint()
        store_once = partial(_store_once, outbox, wanted, fingerprint, key)
        try:
            order = database.commit(store_once)
        except IntegrityError:  # of two requests with one key at the same moment, this one was second
            order = database.commit(store_once)
        if order.fingerprint != fingerprint:
            raise Problem(
                HTTPStatus.CONFLICT,
                "This Idempotency-Key belongs to another order. Use a new key for a new order.",
                order_id=order.order_id,
            )
        log.info("order accepted", extra={"order_id": order.order_id})
        return _accepted(order, prefix, public_zipkin_url)

    @app.get("/orders/<order_id>")
    def show_order(order_id: str) -> Response:
        with database.read() as connection:
            order = Orders(connection).by_id(order_id)
        if order is None:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no order with this id. POST /orders returns the right one.")
        return _json({**_summary(order, prefix, public_zipkin_url), **json.loads(order.content)})

    @app.get("/healthz")
    def alive() -> Response:
        return _json({"status": "alive"})

    @app.get("/readyz")
    def ready() -> Response:
        """Say whether an order would be stored, as far as reading can tell."""
        with database.read() as connection:
            connection.execute(text("SELECT 1 FROM orders LIMIT 1"))
            outbox.check_room(connection)
        return _json({"status": "ready"})

    @app.get("/openapi.json")
    def description() -> Response:
        return _json(openapi.DOCUMENT)

    events = resources.files("shop_contracts").joinpath("asyncapi.json").read_bytes()

    @app.get("/asyncapi.json")
    def description_of_events() -> Response:
        return Response(events, content_type="application/json")

    return app


def _store_once(outbox: Outbox, wanted: PlaceOrder, fingerprint: str, key: str | None, connection: Connection) -> Order:
    orders = Orders(connection)
    if key and (order := orders.by_idempotency_key(key)):
        return order
    event = place_order(wanted)
    receipt = outbox.add(connection, event)
    return orders.add(event, receipt, fingerprint=fingerprint, idempotency_key=key)


def _body() -> bytes:
    try:
        body = request.get_data()
    except (NoMoreData, ParseException) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body's chunks are malformed. Send them as RFC 9112 says.") from error
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if request.content_length not in (None, len(body)):
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is not as long as its Content-Length. Send all of it.")
    return body


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise Problem(HTTPStatus.BAD_REQUEST, f"Idempotency-Key needs 1 to {MAX_KEY_LENGTH} characters.")
    return key


def _accepted(order: Order, prefix: str, zipkin_url: str | None) -> Response:
    answer = _json(_summary(order, prefix, zipkin_url), HTTPStatus.ACCEPTED)
    answer.headers["Location"] = f"{prefix}/orders/{order.order_id}"
    if order.traceparent:
        answer.headers["traceresponse"] = order.traceparent
    return answer


def _summary(order: Order, prefix: str, zipkin_url: str | None) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "status": "accepted",
        "trace_id": order.trace_id,
        "journey_url": f"{prefix}/journeys/{order.trace_id}" if order.trace_id else None,
        "trace_url": f"{zipkin_url}/zipkin/traces/{order.trace_id}" if zipkin_url and order.trace_id else None,
    }


def _json(document: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(document), status=status.value, content_type="application/json")
