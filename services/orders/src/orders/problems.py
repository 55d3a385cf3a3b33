"""Errors as ``application/problem+json`` (RFC 9457) whose detail says what to do."""

import json
import logging
from http import HTTPStatus

from eventbus import Database, Unavailable, is_message_fault
from flask import Flask, Response
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2
# The broker or a person has to come back first.
RETRY_AFTER_FULL_S = 10


class Problem(Exception):
    """A request that is refused: *status*, *detail* for people, *extra* members for programs."""

    def __init__(self, status: HTTPStatus, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra


def response(status: HTTPStatus, detail: str, **extra: object) -> Response:
    """Return a problem document."""
    document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **extra}
    return Response(json.dumps(document), status=status.value, content_type="application/problem+json")


def handle_errors(app: Flask, database: Database) -> None:
    """Answer every error of *app*, which works on *database*, as a problem document."""

    @app.errorhandler(Problem)
    def refused(problem: Problem) -> Response:
        return response(problem.status, problem.detail, **problem.extra)

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> Response:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        if found[0]["type"] == "json_invalid":
            return response(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {found[0]['msg']}. Send one JSON object.")
        fields = [
            {"field": ".".join(map(str, each["loc"])) or "body", "problem": each["msg"].removeprefix("Value error, ")}
            for each in found
        ]
        return response(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The order does not match the schema. Mend these fields.", errors=fields
        )

    @app.errorhandler(SQLAlchemyError)
    def cannot_store(error: SQLAlchemyError) -> Response:
        log.error("the database refused", exc_info=error)
        if is_message_fault(error, database):
            return response(HTTPStatus.INTERNAL_SERVER_ERROR, "Nothing was stored. The same request will fail again.")
        return _later("Nothing was stored.", RETRY_AFTER_S)

    @app.errorhandler(Unavailable)
    def full(error: Unavailable) -> Response:
        return _later(f"Nothing was stored: {error}.", RETRY_AFTER_FULL_S)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        refusal = response(status, _ADVICE.get(status, error.description or status.description))
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                refusal.headers[name] = value
        return refusal


def _later(what: str, seconds: int) -> Response:
    refusal = response(HTTPStatus.SERVICE_UNAVAILABLE, f"{what} Send the same request again after Retry-After seconds.")
    refusal.headers["Retry-After"] = str(seconds)
    return refusal


_ADVICE = {
    HTTPStatus.NOT_FOUND: "There is nothing here. GET /openapi.json lists what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method that the Allow header names.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 64 KB. Split the order.",
}
