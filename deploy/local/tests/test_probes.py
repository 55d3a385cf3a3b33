"""What a worker's status file, or the answer of a web process, says about it."""

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from stack.probes import http_ok, postgres_serves, status_ready


@pytest.mark.parametrize(
    ("status", "age", "objection"),
    [
        ({"ready": True, "reason": ""}, 0, None),
        ({"ready": True, "reason": ""}, 14, None),
        ({"ready": True, "reason": ""}, 40, "hangs: last sign of life 40 s ago"),
        ({"ready": False, "reason": "broker: away"}, 0, "not ready: broker: away"),
        ({"ready": False, "reason": "broker: away"}, 40, "hangs: last sign of life 40 s ago"),
        ({"ready": False}, 0, "not ready: no reason given"),
        ([], 0, "status.json makes no sense: TypeError('list indices must be integers or slices, not str')"),
    ],
)
def test_a_worker_is_ready_if_it_says_so_and_said_it_lately(
    tmp_path: Path, status: object, age: float, objection: str | None
) -> None:
    file = tmp_path / "status.json"
    file.write_text(json.dumps(status))
    os.utime(file, (time.time() - age,) * 2)

    assert status_ready(file)() == objection


def test_a_worker_that_never_said_anything_is_not_ready(tmp_path: Path) -> None:
    assert status_ready(tmp_path / "status.json")() == "has not written its status yet"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"title": "Service Unavailable", "detail": "the outbox is full"}', ": the outbox is full"),
        (b"<html>no</html>", ""),
        (b"[]", ""),
        (b"\xff", ""),
    ],
)
def test_a_service_that_is_not_ready_is_quoted(body: bytes, said: str) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request).start()
        answer = http_ok(server.server_port, "/readyz")()

    assert answer == f"GET /readyz on port {server.server_port} answers 503{said}"


def test_a_postgresql_that_is_not_there_or_hangs_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://test@127.0.0.1:{silent.getsockname()[1]}/test"
        hangs = postgres_serves(url)()
    gone = postgres_serves(url)()

    assert hangs == "PostgreSQL: connection timeout expired"
    assert gone and "Connection refused" in gone
