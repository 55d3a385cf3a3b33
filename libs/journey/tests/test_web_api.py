"""The page's API, over a real server that answers as Zipkin does, or does not."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from journey import Trace, as_json
from journey.web import Look, create_app
from journey.web.zipkin_limits import AT_ONCE, Busy, Zipkin

from libs.journey.tests.journeys import changed, failing_with, order, without
from tests.order_journey import ORDER_JOURNEY

LOOK = Look(chain=ORDER_JOURNEY, done="Sent.")


class FakeZipkin(ThreadingHTTPServer):
    """A Zipkin of these traces; every search finds all that have the asked tag or service."""

    def __init__(self, *traces: Trace) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.traces = {trace.id: trace for trace in traces}
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200

    def found(self, address: str) -> tuple[int, object]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        match path.removeprefix("/api/v2/").split("/"):
            case ["trace", id]:
                trace = self.traces.get(id.zfill(32))
                return (200, _spans(trace)) if trace else (404, f"{id} not found")
            case ["traceMany"]:
                ids = [id.zfill(32) for id in query["traceIds"][0].split(",")]
                return 200, [_spans(self.traces[id]) for id in ids if id in self.traces]
        tag = query.get("annotationQuery", [""])[0].partition("=")
        service = query.get("serviceName", [""])[0]
        return 200, [_spans(trace) for trace in self.traces.values() if _has(trace, tag, service)]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, FakeZipkin)
        status, content = self.server.found(self.path)
        body = json.dumps(content).encode()
        self.send_response(self.server.status if self.server.status != 200 else status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _has(trace: Trace, tag: tuple[str, str, str], service: str) -> bool:
    tagged = not tag[0] or any(span.tags.get(tag[0]) == tag[2] for span in trace.spans)
    return tagged and (not service or any(span.service == service for span in trace.spans))


def _spans(trace: Trace) -> list[object]:
    return [
        {
            "traceId": trace.id,
            "id": span.id,
            "parentId": span.parent_id,
            "name": span.name,
            "kind": span.kind,
            "timestamp": span.start,
            "duration": span.duration,
            "localEndpoint": {"serviceName": span.service},
            "tags": dict(span.tags),
        }
        for span in trace.spans
    ]


GAP = without(order(1), 4)
FAILED = changed(order(2), 3, tags={**order(2).spans[2].tags, **failing_with("no")})


@pytest.fixture
def zipkin() -> Iterator[FakeZipkin]:
    with FakeZipkin(order(), GAP, FAILED) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(zipkin: FakeZipkin) -> FlaskClient:
    return create_app(zipkin.url, LOOK).test_client()


def test_one_journey_is_what_show_and_doctor_say(client: FlaskClient) -> None:
    answer = client.get(f"/api/journeys/{order().id}").get_json()

    assert answer["journey"] == json.loads(as_json.of_trace(order()))
    assert (answer["diagnosis"]["verdict"], answer["drawing"]["state"]) == ("whole", "done")
    assert list(answer["diagnosis"]) == ["trace_id", "whole", "verdict", "findings"]


def test_a_message_key_finds_its_journey(client: FlaskClient) -> None:
    assert client.get("/api/journeys/order-1").get_json()["journey"]["trace_id"] == GAP.id
    [entry] = client.get("/api/journeys?q=order-1").get_json()["journeys"]
    assert (entry["trace_id"], entry["key"]) == (GAP.id, "order-1")


def test_recent_journeys_are_listed_and_chosen(client: FlaskClient) -> None:
    def listed(query: str) -> set[str]:
        return {each["trace_id"] for each in client.get(f"/api/journeys{query}").get_json()["journeys"]}

    assert listed("") == listed("?service=billing") == {order().id, GAP.id, FAILED.id}
    assert listed("?service=nobody") == set()
    assert listed("?broken=1") == {FAILED.id}  # a gap in a trace as young as these may still be filled


def test_drawings_of_many_come_under_the_ids_as_asked(client: FlaskClient) -> None:
    nobodys = "ab" * 16
    journeys = client.get(f"/api/journeys?ids={order().id},{nobodys},{GAP.id}").get_json()["journeys"]

    assert set(journeys) == {order().id, GAP.id}
    assert client.get("/api/journeys?ids=<script>").status_code == 400


def test_what_is_not_there_is_404(client: FlaskClient) -> None:
    answer = client.get(f"/api/journeys/{'ab' * 16}")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_zipkin_that_is_away_or_is_none_is_502(client: FlaskClient, zipkin: FakeZipkin) -> None:
    zipkin.status = 500
    assert client.get("/api/journeys").status_code == 502
    assert create_app("http://127.0.0.1:9").test_client().get("/api/journeys").status_code == 502


def test_more_than_may_wait_are_refused_at_once() -> None:
    zipkin = Zipkin("http://127.0.0.1:9")
    with ExitStack() as waiting:
        for _ in range(AT_ONCE):
            waiting.enter_context(zipkin.source())
        with pytest.raises(Busy), zipkin.source():
            pass
    with zipkin.source():
        pass  # there is room again
