"""The load is open: what the server does has no part in when it is asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from tests.chaos.ledger import Ledger, Verdict, email, number_of
from tests.chaos.load import INVALIDS, Load, order, verdict
from tests.e2e.polling import poll_until


@contextmanager
def shop(hold: threading.Event) -> Iterator[str]:
    """A server that takes every order, once *hold* is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            hold.wait()
            self.send_response(202)
            self.end_headers()
            self.wfile.write(json.dumps({"order_id": "o", "trace_id": "t"}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 1000

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_stalls_does_not_slow_the_load_down() -> None:
    hold, asked = threading.Event(), Ledger()
    with shop(hold) as url, Load(url, asked, rate=50, seed=1) as load:
        poll_until(lambda: load.sent >= 50, "50 orders are sent, and none is answered")
        assert len(asked) == 0
        hold.set()

    assert len(asked) == load.sent
    assert load.latest == max(entry.sent - entry.intended for entry in asked)
    entries = sorted(asked, key=lambda entry: entry.number)
    assert all(0.0 < b.intended - a.intended < 0.04 for a, b in pairwise(entries))


def test_an_answer_that_does_not_come_tells_nothing() -> None:
    asked = Ledger()
    with Load("http://127.0.0.1:1", asked, rate=100, seed=1):
        poll_until(lambda: len(asked) >= 5, "some orders have met nobody")

    assert {(entry.verdict, entry.answer) for entry in asked} == {(Verdict.MAY, "ConnectionRefusedError")}


def test_the_same_seed_asks_for_the_same() -> None:
    loads = [Load("http://x", Ledger(), rate=1, seed=7) for _ in range(2)]
    first, second = ([load.request(number)[0] for number in range(100)] for load in loads)

    assert first == second
    assert 0 < len({json.dumps(order(number)).encode() for number in range(100)} - set(first)) < 20


@pytest.mark.parametrize(
    ("status", "promise"),
    [
        (202, Verdict.MUST),
        (400, Verdict.MUST_NOT),
        (422, Verdict.MUST_NOT),
        (200, Verdict.MAY),
        (500, Verdict.MAY),
        (503, Verdict.MAY),
        ("TimeoutError", Verdict.MAY),
    ],
)
def test_only_an_answer_promises_anything(status: int | str, promise: Verdict) -> None:
    assert verdict(status) is promise


def test_every_bad_order_names_its_request() -> None:
    assert all(email(41).encode() in invalid(41) for invalid in INVALIDS)
    assert (number_of(email(41)), number_of("order-x@chaos.example"), number_of("order-1@elsewhere.example")) == (
        41,
        None,
        None,
    )
