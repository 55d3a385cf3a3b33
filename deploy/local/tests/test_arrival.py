"""Whether spans arrive, while spans of an earlier run stand before the one that is looked for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from stack import Settings, StackError, arrival

PATIENCE = 0.6
LABELS = '{data_type="traces",exporter="zipkin"}'


class System:
    """An orders, a Collector and a Zipkin at once: at each look Zipkin takes some spans of the queue."""

    def __init__(self, waiting: int, a_look: int, *, others: int = 0, lost: bool = False) -> None:
        self.waiting, self.a_look, self.others, self.lost, self.sent = waiting, a_look, others, lost, 1000

    def look(self) -> str:
        taken = min(self.waiting, self.a_look)
        self.waiting += self.others - taken
        self.sent += taken
        return (
            f"otelcol_exporter_queue_size{LABELS} {self.waiting}\n"
            f'otelcol_exporter_sent_spans{{exporter="zipkin"}} {self.sent}\n'
            'otelcol_exporter_sent_spans{exporter="zipkin/alone"} 5\n'
        )

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/metrics":
            return 200, self.look()
        if path.startswith("/api/v2/trace/") and not self.waiting and not self.lost:
            trace_id = path.rsplit("/", 1)[1]
            return 200, json.dumps([{"traceId": trace_id, "id": trace_id[:16], "name": "get", "timestamp": 1}])
        return 404, path


@contextmanager
def served(system: System, settings: Settings) -> Iterator[Settings]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = system.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        port = server.server_port
        try:
            ports = dict.fromkeys(("orders_port", "zipkin_port", "collector_metrics_port"), port)
            yield settings.model_copy(update=ports)
        finally:
            server.shutdown()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_SECONDS", PATIENCE)
    monkeypatch.setattr(arrival, "SAYING_SECONDS", PATIENCE / 2, raising=False)


def test_a_system_is_given_the_time_that_the_queue_before_the_span_takes(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    # At least 50 looks with 0.03 s between them: 1.5 s.
    with served(System(waiting=50_000, a_look=1000), settings) as place:
        arrival.check(place)

    assert "spans wait in the Collector's queue for Zipkin" in capsys.readouterr().out


def test_a_queue_that_does_not_move_is_an_error_that_tells_its_length(settings: Settings) -> None:
    with (
        served(System(waiting=50_000, a_look=0), settings) as place,
        pytest.raises(StackError, match=r"nothing moved .*; 50000 spans wait in the Collector's queue"),
    ):
        arrival.check(place)


def test_what_comes_after_the_span_does_not_prolong_the_wait_for_it(settings: Settings) -> None:
    with (
        served(System(waiting=5, a_look=10, others=10, lost=True), settings) as place,
        pytest.raises(StackError, match="spans do not arrive"),
    ):
        arrival.check(place)
