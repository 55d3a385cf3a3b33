"""Over real HTTP, against a server that has recorded answers and the limits that Zipkin 3.6.1 showed."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner
from journey import Calls, JourneyDiffers, dependencies, fetch, fetch_many, wait_for
from journey.cli import main
from journey.zipkin import NotZipkin, search

from tests.order_journey import ORDER_EDGES, ORDER_JOURNEY

RECORDED = Path(__file__).parent / "recorded"
ORDER = "0af7651916cd43dd8448eb211c80319d"
CALLER = "b7ad6b7169203331"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


class Zipkin(ThreadingHTTPServer):
    """What of API v2 is asked here: first the answers in `before`, one each, then from what is there."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.traces: dict[str, list[Any]] = {}
        self.links: list[Any] = []
        self.before: list[Callable[[], tuple[int, Any]]] = []
        self.looks: list[str] = []
        self.callers: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, address: str) -> tuple[int, Any]:
        self.looks.append(address)
        if len(address) > 4070:
            return 414, "Too Long URI"
        if self.before:
            return self.before.pop(0)()
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        match path.removeprefix("/api/v2/").split("/"):
            case ["trace", trace_id] if set(trace_id.lower()) <= set("0123456789abcdef"):
                spans = self.traces.get(trace_id.lower().removeprefix("0" * 16))
                return (200, spans) if spans else (404, f"{trace_id} not found")
            case ["traceMany"] if "traceIds" in query:
                ids = [trace_id.lower().removeprefix("0" * 16) for trace_id in query["traceIds"][0].split(",")]
                if len(ids) < 2 or len(set(ids)) < len(ids):
                    return 400, "a single or redundant traceId"
                return 200, [self.traces[trace_id] for trace_id in ids if trace_id in self.traces]
            case ["dependencies"] if "endTs" in query:
                return 200, self.links
        return 400, "what is this?"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Zipkin)
        self.server.callers.append(self.headers["X-Caller"])
        status, content = self.server.answer(self.path)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def zipkin() -> Iterator[Zipkin]:
    server = Zipkin()
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address on which nothing listens."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_trace_is_fetched_by_its_id(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")

    trace = fetch(zipkin.url + "/", ORDER)

    assert trace and trace.id == ORDER
    assert [(span.service, span.kind, span.name) for span in trace.spans] == [
        (row.service, row.kind, row.name.lower()) for row in ORDER_JOURNEY
    ]


def test_a_trace_that_zipkin_does_not_have_is_none(zipkin: Zipkin) -> None:
    assert fetch(zipkin.url, ORDER) is None


def test_a_session_that_is_given_is_used(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")
    zipkin.links = recorded("dependencies")
    with requests.Session() as session:
        session.headers["X-Caller"] = "this test"
        fetch(zipkin.url, ORDER, session)
        fetch_many(zipkin.url, [ORDER, "1" * 32], session)
        dependencies(zipkin.url, session)

    assert zipkin.callers == ["this test"] * 3


@pytest.mark.parametrize("status", [400, 500, 503])
def test_any_other_answer_is_an_error(zipkin: Zipkin, status: int) -> None:
    zipkin.before = [lambda: (status, "no")] * 3

    with pytest.raises(requests.HTTPError):
        fetch(zipkin.url, ORDER)
    with pytest.raises(requests.HTTPError):
        fetch_many(zipkin.url, [ORDER, "1" * 32])
    with pytest.raises(requests.HTTPError):
        dependencies(zipkin.url)


def test_no_zipkin_is_an_error(nobody: str) -> None:
    with pytest.raises(requests.ConnectionError):
        fetch(nobody, ORDER)


def test_a_silent_zipkin_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journey.zipkin.TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hung_up = Timer(10, silent.close)  # ends the request that nothing else ends
        hung_up.start()
        with pytest.raises(requests.Timeout):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}", ORDER)
        hung_up.cancel()


@pytest.mark.parametrize("number", [0, 1, 2, 100, 101, 250, 1000])
def test_thousands_of_traces_are_fetched_in_chunks(zipkin: Zipkin, number: int) -> None:
    ids = [f"{4 * 10**37 + n:032x}" for n in range(number)]
    zipkin.traces = {id: [{"traceId": id, "id": "1" * 16}] for id in ids}

    found = fetch_many(zipkin.url, iter(ids))

    assert list(found) == ids
    assert all(trace.id == id for id, trace in found.items())
    assert len(zipkin.looks) == -(-number // 100)


def test_traces_that_zipkin_does_not_have_are_left_out(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")

    assert list(fetch_many(zipkin.url, ["1" * 32, ORDER, "2" * 32])) == [ORDER]


def test_repeated_ids_are_asked_once(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")

    assert list(fetch_many(zipkin.url, [ORDER] * 3)) == [ORDER]


def test_traces_are_found_under_the_ids_that_were_asked_for(zipkin: Zipkin) -> None:
    # Zipkin cuts a trace id whose upper half is zero to its lower half.
    zipkin.traces = {id: [{"traceId": id, "id": "1" * 16}] for id in ("a" * 16, "b" * 32)}
    asked = ["0" * 16 + "a" * 16, "B" * 32]

    assert set(fetch_many(zipkin.url, asked)) == set(asked)


def test_the_dependency_graph_of_orders_without_a_fault_is_the_expected_line(zipkin: Zipkin) -> None:
    zipkin.links = recorded("dependencies")

    found = dependencies(zipkin.url)

    assert found.keys() == ORDER_EDGES
    assert set(found.values()) == {Calls(count=4, errors=0)}


def test_errors_along_an_edge_are_counted(zipkin: Zipkin) -> None:
    zipkin.links = recorded("dependencies_with_errors")

    found = dependencies(zipkin.url)

    assert found[("notifier", "smtp")] == Calls(count=9, errors=1)
    assert found.keys() - ORDER_EDGES == {("notifier", "kafka/notifier.dlq")}


def test_a_journey_is_waited_for_through_every_state_until_it_is_exact(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")
    zipkin.before = [
        lambda: (503, "starting"),
        lambda: (404, "not found"),
        lambda: (200, recorded("order")[:2]),
    ]

    trace = wait_for(zipkin.url, ORDER, ORDER_JOURNEY, 10, CALLER)

    assert len(trace.spans) == 6
    assert len(zipkin.looks) == 4


def test_at_the_deadline_the_error_tells_the_differences_and_draws_what_there_is(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = [span for span in recorded("order") if span["name"] != "send email"]
    began = time.monotonic()

    with pytest.raises(JourneyDiffers) as raised:
        wait_for(zipkin.url, ORDER, ORDER_JOURNEY, 0.5, CALLER)

    assert time.monotonic() - began >= 0.5
    assert f"Trace {ORDER} is not the declared journey after 0.5 s:" in str(raised.value)
    assert "- Row 6 is missing: notifier CLIENT `send email`." in str(raised.value)
    assert "└─ process invoices" in str(raised.value)
    assert raised.value.differences == ("Row 6 is missing: notifier CLIENT `send email`.",)
    assert raised.value.trace and len(raised.value.trace.spans) == 5


def test_at_the_deadline_a_trace_that_never_came_is_told(zipkin: Zipkin) -> None:
    with pytest.raises(JourneyDiffers, match="Zipkin does not have the trace"):
        wait_for(zipkin.url, ORDER, ORDER_JOURNEY, 0, CALLER)


def test_at_the_deadline_a_zipkin_that_is_away_is_told(nobody: str) -> None:
    with pytest.raises(JourneyDiffers, match="Zipkin does not answer"):
        wait_for(nobody, ORDER, ORDER_JOURNEY, 0.2, CALLER)


def test_another_callers_journey_is_not_taken_for_exact(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")

    with pytest.raises(JourneyDiffers, match="although the caller sent no context"):
        wait_for(zipkin.url, ORDER, ORDER_JOURNEY, 0)


def test_a_zipkin_on_this_machine_is_asked_without_the_proxy(zipkin: Zipkin, monkeypatch: pytest.MonkeyPatch) -> None:
    zipkin.traces[ORDER] = recorded("order")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    assert fetch(zipkin.url, ORDER)
    assert fetch(zipkin.url, ORDER, requests.Session())
    with pytest.raises(requests.exceptions.ProxyError):
        fetch("http://zipkin.example:9411", ORDER)


ANSWERS_OF_OTHERS = ("<html>", {"status": "fine"}, [7], [[{"name": "x"}]], [[{"traceId": "1" * 32, "id": 7}]])


@pytest.mark.parametrize("content", ANSWERS_OF_OTHERS)
def test_a_server_that_is_not_zipkin_is_told(zipkin: Zipkin, content: Any) -> None:
    zipkin.before = [lambda: (200, content)] * 4
    asked: list[Callable[[], object]] = [
        lambda: fetch(zipkin.url, ORDER),
        lambda: fetch_many(zipkin.url, [ORDER, "1" * 32]),
        lambda: search(zipkin.url),
        lambda: dependencies(zipkin.url),
    ]

    for ask in asked:
        with pytest.raises(NotZipkin, match="answers, and not as Zipkin does"):
            ask()


def test_a_page_that_another_server_does_not_have_is_no_trace_that_zipkin_does_not_have(zipkin: Zipkin) -> None:
    zipkin.before = [lambda: (404, "Not Found")]

    with pytest.raises(requests.HTTPError):
        fetch(zipkin.url, ORDER)


@pytest.mark.parametrize("command", [("show", ORDER), ("doctor", "--last", "1"), ("doctor", ORDER)])
@pytest.mark.parametrize("answer", [(200, "<html>"), (200, {"status": "fine"}), (404, "Not Found")])
def test_the_commands_tell_a_server_that_is_not_zipkin_in_a_line(
    zipkin: Zipkin, command: tuple[str, ...], answer: tuple[int, Any]
) -> None:
    zipkin.before = [lambda: answer]
    said = CliRunner().invoke(main, [*command, "--zipkin", zipkin.url])

    assert said.exit_code == 2
    assert "Is it Zipkin" in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize("id", [None, "", "order-1", "1" * 33, "0x1", 7])
def test_what_is_no_trace_id_is_told(zipkin: Zipkin, id: Any) -> None:
    with pytest.raises(ValueError, match="is no trace id"):
        fetch(zipkin.url, id)
    with pytest.raises(ValueError, match="is no trace id"):
        fetch_many(zipkin.url, [ORDER, id])
    assert zipkin.looks == []


@pytest.mark.parametrize("upper", ["", "9" * 16, ORDER[:16]])
def test_a_zipkin_that_knows_traces_by_half_their_ids_is_understood(zipkin: Zipkin, upper: str) -> None:
    # STRICT_TRACE_ID=false: spans of one trace may have its id in several lengths.
    half, other = ORDER[16:], "1" * 32
    spans = [{"traceId": upper + half, "id": "1" * 16}, {"traceId": half, "id": "2" * 16, "parentId": "1" * 16}]
    zipkin.before = [lambda: (200, [spans, [{"traceId": other, "id": "1" * 16}], []])]
    found = fetch_many(zipkin.url, [ORDER, other, "2" * 32])

    assert list(found) == [ORDER, other]
    assert {span.trace_id for span in found[ORDER].spans} == {upper + half}


def test_one_trace_is_found_under_every_spelling_of_its_id(zipkin: Zipkin) -> None:
    zipkin.traces[ORDER] = recorded("order")

    assert list(fetch_many(zipkin.url, [ORDER, ORDER.upper()])) == [ORDER, ORDER.upper()]


def test_a_value_with_the_word_that_parts_conditions_is_found(zipkin: Zipkin) -> None:
    def order(id: str, key: str) -> list[Any]:
        return [{"traceId": id * 32, "id": "1" * 16, "tags": {"key": key, "topic": "orders"}}]

    zipkin.before = [lambda: (200, [order("1", "salt and pepper"), order("2", "salt"), order("3", "salt and sugar")])]
    found = search(zipkin.url, tags={"key": "salt and pepper", "topic": "orders"}, limit=5)
    query = parse_qs(urlsplit(zipkin.looks[0]).query)

    assert [trace.id for trace in found] == ["1" * 32]
    assert query["annotationQuery"] == ["key and topic=orders"]
    assert query["limit"] == ["1000"]
