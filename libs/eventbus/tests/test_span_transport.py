"""One kept connection to a plain Collector, the SDK's transport to any other; settings and retries are the SDK's."""

import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.exporter.http.transport._requests import RequestsHTTPTransport
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext
from span_export.http import PlainHTTP
from span_export.otlp import Exporter

SPAN = ReadableSpan("one", SpanContext(1, 1, is_remote=False))


class Collector(ThreadingHTTPServer):
    """Answers with each status of *answers* in turn, None being a connection that ends, then with 200."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Receiver)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, self.rfile.read(int(headers["content-length"]))))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "0")
        if status == 202:
            self.close_connection = True  # and does not say so
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


@pytest.fixture
def exporter(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    exporter = Exporter()
    yield exporter
    exporter.shutdown()


def test_all_exports_have_one_connection(exporter: Exporter, collector: Collector) -> None:
    results = {exporter.export([SPAN]) for _ in range(5)}

    assert results == {SpanExportResult.SUCCESS}
    assert collector.connections == 1
    assert {path for path, *_ in collector.requests} == {"/v1/traces"}


@pytest.mark.parametrize("answers", [[503], [None], [202, 202, None], [502, 200], [None, None, 504]])
def test_what_fails_for_now_is_tried_again(
    answers: list[int | None], exporter: Exporter, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter._client, "_compute_backoff", lambda retry: 0.0)
    collector.answers = [*answers]

    assert [exporter.export([SPAN]) for _ in range(3)] == [SpanExportResult.SUCCESS] * 3
    assert collector.answers == []


def test_what_is_refused_is_not_tried_again(exporter: Exporter, collector: Collector) -> None:
    collector.answers = [400]

    assert exporter.export([SPAN]) is SpanExportResult.FAILURE
    assert len(collector.requests) == 1


def test_a_collector_that_is_not_there_yet_is_tried_until_it_is(
    exporter: Exporter, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    exporter = Exporter(nobody)
    tries: list[int] = []

    def then_it_comes(retry: int) -> float:
        tries.append(retry)
        if retry == 2:
            exporter._client._transport = PlainHTTP(collector.url)
        return 0.0

    monkeypatch.setattr(exporter._client, "_compute_backoff", then_it_comes)

    assert exporter.export([SPAN]) is SpanExportResult.SUCCESS
    assert tries == [0, 1, 2]


def test_a_collector_that_does_not_answer_is_given_up_after_the_time_out(collector: Collector) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporter = Exporter(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces", timeout=0.1)

        assert exporter.export([SPAN]) is SpanExportResult.FAILURE


def test_the_settings_are_honoured(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/some/where?tenant=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    Exporter().export([SPAN])
    ((path, headers, body),) = collector.requests
    told = ExportTraceServiceRequest.FromString(gzip.decompress(body))

    assert path == "/some/where?tenant=1"
    assert headers["authorization"] == "Bearer x"
    assert (headers["content-type"], headers["content-encoding"]) == ("application/x-protobuf", "gzip")
    assert headers["user-agent"].startswith("OTel-OTLP-Exporter-Python/")
    assert told.resource_spans[0].scope_spans[0].spans[0].name == "one"


PROXY = {"HTTP_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("endpoint", "settings", "plain"),
    [
        ("http://collector:4318", {}, True),
        ("http://[::1]:4318", {}, True),
        ("https://collector:4318", {}, False),
        ("http://user:secret@collector:4318", {}, False),
        ("http://collector:4318", PROXY, False),
        ("http://collector:4318", {"ALL_PROXY": "http://proxy:3128"}, False),
        ("http://collector:4318", {**PROXY, "NO_PROXY": "localhost,collector"}, True),
        ("http://127.0.0.1:4318", {**PROXY, "NO_PROXY": "127.0.0.1"}, True),
        ("http://collector:4318", {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "x"}, None),
    ],
)
def test_what_needs_more_than_a_connection_goes_the_sdk_s_way(
    endpoint: str, settings: dict[str, str], plain: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}.items():
        monkeypatch.setenv(name, value)
    if plain is None:
        with pytest.raises(RuntimeError, match="credential_provider"):
            Exporter()
        return
    exporter = Exporter()
    transport = exporter._client._transport
    exporter.shutdown()

    assert type(transport) is (PlainHTTP if plain else RequestsHTTPTransport)


def test_a_child_has_a_connection_of_its_own(collector: Collector) -> None:
    program = f"""
import os
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext
from span_export.otlp import Exporter

exporter = Exporter({collector.url!r})
span = ReadableSpan("one", SpanContext(1, 1, is_remote=False))
exporter.export([span])
child = os.fork()
exporter.export([span])
if child:
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    assert (len(collector.requests), collector.connections) == (3, 2)
