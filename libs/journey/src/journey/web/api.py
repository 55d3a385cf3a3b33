"""What the page's scripts, and other programs, ask: journeys as JSON."""

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import requests
from flask import Blueprint, Response, request

from journey import as_json, zipkin
from journey.doctor import SECOND, Case, Diagnosis, Remembered, Verdict, diagnose
from journey.lookup import find
from journey.messaging import key_of
from journey.source import Source, ZipkinSource
from journey.trace import Trace
from journey.web.drawing import drawing
from journey.web.look import Look
from journey.web.zipkin_limits import AT_ONCE, Busy, Zipkin

PATIENCE: Final = 10 * SECOND
MOST_IDS: Final = 60
RECENT: Final = 20
LOOKED_THROUGH: Final = 40


def add_api(blueprint: Blueprint, zipkin_url: str | None, look: Look) -> None:
    """Serve `/api/journeys` and `/api/journeys/<id>`: problem documents say why there is no answer."""
    bounded = Zipkin(zipkin_url) if zipkin_url else None

    def answered(ask: Callable[[ZipkinSource], Response]) -> Response:
        if bounded is None:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "Nobody has said where Zipkin is.")
        try:
            with bounded.source() as source:
                return ask(source)
        except Busy:
            detail = f"{AT_ONCE} requests wait for Zipkin, and no more may. Ask again after Retry-After seconds."
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        except requests.RequestException as error:
            detail = f"Zipkin does not answer as it should ({type(error).__name__})."
            return _problem(HTTPStatus.BAD_GATEWAY, detail)

    @blueprint.get("/api/journeys")
    def many() -> Response:
        """Give the drawings of the traces that are asked for by `ids`; else list recent ones."""
        if (ids := request.args.get("ids")) is not None:
            return answered(lambda source: _drawings(source, ids.split(",")[:MOST_IDS], look))
        return answered(lambda source: _recent(source, look))

    @blueprint.get("/api/journeys/<id>")
    def one(id: str) -> Response:
        """Give what `journey show --json` and `journey doctor --json` say, and the drawing."""
        return answered(lambda source: _one(source, id, look))


def _drawings(source: ZipkinSource, ids: list[str], look: Look) -> Response:
    try:
        found = zipkin.fetch_many(source.url, ids, source.session)
    except ValueError as error:
        return _problem(HTTPStatus.BAD_REQUEST, f"{error}.")
    return _json({"journeys": {id: drawing(trace, look) for id, trace in found.items()}})


def _recent(source: Source, look: Look) -> Response:
    """List journeys, the latest first: those that `q` means, that pass `service`, that are `broken`."""
    wanted, service = request.args.get("q", "").strip(), request.args.get("service", "").strip().lower() or None
    only_broken = request.args.get("broken") == "1"
    count = LOOKED_THROUGH if only_broken else RECENT
    traces = find(source, wanted) if wanted else source.latest(count, service)
    if wanted and service:
        traces = [trace for trace in traces if any(span.service == service for span in trace.spans)]
    if only_broken:
        others = Remembered(source)
        traces = [trace for trace in traces[:count] if _judged(trace, others).verdict is Verdict.BROKEN]
    return _json({"journeys": [_entry(trace, look) for trace in traces[:RECENT]]})


def _one(source: Source, id: str, look: Look) -> Response:
    traces = find(source, id)
    if not traces:
        return _problem(HTTPStatus.NOT_FOUND, f"No trace in Zipkin is or has this. {source.hint}")
    first = traces[0]
    return _json(
        {
            "journey": json.loads(as_json.of_trace(first)),
            "diagnosis": json.loads(as_json.of_diagnosis(_judged(first, Remembered(source)))),
            "drawing": drawing(first, look),
            "others": [trace.id for trace in traces[1:]],
        }
    )


def _judged(trace: Trace, others: Remembered) -> Diagnosis:
    return diagnose(Case(trace, others, int(time.time() * SECOND), PATIENCE))


def _entry(trace: Trace, look: Look) -> dict[str, Any]:
    drawn = drawing(trace, look)
    keys = (key_of(span) for span in trace.spans)
    return {
        "trace_id": trace.id,
        "what": drawn["spans"][0]["name"],
        "start": drawn["start"],
        "key": next((key[1] for key in keys if key), None),
        "state": drawn["state"],
        "name": drawn["name"],
        "errors": sum(span.error is not None for span in trace.spans),
    }


def _json(document: dict[str, Any]) -> Response:
    answer = Response(json.dumps(document), content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _problem(status: HTTPStatus, detail: str) -> Response:
    document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    answer = Response(json.dumps(document), status=status.value, content_type="application/problem+json")
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "1"
    return answer
