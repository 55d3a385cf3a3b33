"""The web process as it runs, and clients that are slow, broken or lie: raw bytes to a real gunicorn."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from eventbus import Database
from journey.web.zipkin_limits import ANSWER_SECONDS, AT_ONCE
from sqlalchemy import text
from stack.polling import wait_until

from orders import gunicorn_conf, gunicorn_worker

MANY = 3 * gunicorn_conf.threads
ORDER = json.dumps(
    {
        "customer": {"email": "ada@example.com"},
        "currency": "EUR",
        "items": [{"sku": "A", "quantity": 1, "unit_price": "1"}],
    }
).encode()
HEAD = b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
POST = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(ORDER), ORDER)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE_CHUNKS = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ORDER), ORDER)
PATIENCE = 30


class Web:
    """A web process of the test's own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.database_url = f"sqlite:///{folder}/orders.db"
        self._log = folder / "log"
        command = [sys.executable, "-m", "gunicorn", "-c", "python:orders.gunicorn_conf", "-b", "127.0.0.1:0"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "orders.wsgi:app"],
                env={**os.environ, "DATABASE_URL": self.database_url, **environment},
                stderr=log,
            )

    def address(self) -> tuple[str, int] | None:
        """Return where it listens, once it does."""
        listens = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.log())
        return ("127.0.0.1", int(listens[1])) if listens and "Booting worker" in self.log() else None

    def log(self) -> str:
        return self._log.read_text()

    def connect(self) -> socket.socket:
        address = self.address()
        assert address
        return socket.create_connection(address, timeout=PATIENCE)

    def ask(self, request: bytes, *, then_hang_up: bool = False) -> tuple[int, dict[str, str], Any]:
        """Send these bytes; return status, headers and body of the answer."""
        with self.connect() as connection:
            connection.sendall(request)
            if then_hang_up:
                connection.shutdown(socket.SHUT_WR)
            return answer(connection)

    def orders(self) -> int:
        database = Database(self.database_url)
        with database.read() as connection:
            count: int = connection.execute(text("SELECT count(*) FROM orders")).scalar_one()
        database.close()
        return count


def answer(connection: socket.socket, rest: bytes = b"") -> tuple[int, dict[str, str], Any]:
    """Read one answer; 0 where the connection ends without any."""
    data = rest
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return 0, {}, None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        more = connection.recv(65536)
        assert more, f"the answer ends after {len(body)} bytes of its body: {head!r}"
        body += more
    status = int(first.split()[1])
    if status == 100:
        return answer(connection, body)
    return status, headers, json.loads(body) if "json" in headers.get("content-type", "") else body


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Web]]:
    with ExitStack() as begun:

        def run(**environment: str) -> Web:
            web = Web(tmp_path, **environment)
            begun.callback(web.process.wait)
            begun.callback(web.process.kill)
            wait_until("gunicorn listens", lambda: None if web.address() else web.log(), timeout=PATIENCE)
            assert web.ask(b"GET /readyz HTTP/1.1\r\nHost: shop\r\n\r\n")[0] == 200, web.log()
            return web

        yield run


@pytest.fixture
def web(start: Callable[..., Web]) -> Web:
    return start()


UNFINISHED = {
    "one byte": b"P",
    "a part of a header": HEAD,
    "no body": HEAD + b"Content-Length: 10\r\n\r\n",
    "a part of a body": POST[:-1],
    "a part of a chunk": CHUNKED + b"ff\r\n{",
    "no last chunk": WHOLE_CHUNKS[:-5],
    "a last chunk without its end": WHOLE_CHUNKS[:-2],
    "what looks like a last chunk": CHUNKED + b"ff\r\n{\r\n0\r\n\r\n",
}


def test_unfinished_requests_keep_nobody_waiting_and_are_ended(web: Web) -> None:
    with ExitStack() as open_connections:
        slow = [open_connections.enter_context(web.connect()) for _ in range(MANY)]
        for connection, begun in zip(slow, cycle(UNFINISHED.values()), strict=False):
            connection.sendall(begun)
        status, _, _ = web.ask(POST)
        # None of them has been ended to make room.
        slow[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            slow[-1].recv(1)
        slow[-1].settimeout(PATIENCE)

        assert status == 202
        assert {answer(connection)[0] for connection in slow} == {408}
    assert web.orders() == 1


def test_an_unfinished_request_has_ten_seconds_at_most() -> None:
    # The event loop looks once a second, and half a second later at the latest.
    assert gunicorn_worker.REQUEST_SECONDS + 1.5 + gunicorn_worker.GOODBYE_SECONDS < 10


def test_a_client_that_never_stops_sending_is_ended_too(web: Web) -> None:
    with web.connect() as connection:
        connection.sendall(HEAD)
        connection.settimeout(0.1)
        received = b""
        for _ in range(10 * PATIENCE):
            try:
                connection.sendall(b"X")
                received += connection.recv(1024)
            except TimeoutError:
                continue
            except OSError:
                break
            if received:
                break

    assert received.startswith(b"HTTP/1.1 408 ")


def test_clients_that_read_no_answers_keep_nobody_waiting(web: Web) -> None:
    request = b"GET /asyncapi.json HTTP/1.1\r\nHost: shop\r\n\r\n"
    with ExitStack() as open_connections:
        pending = []
        for _ in range(gunicorn_conf.threads + 2):
            connection = open_connections.enter_context(web.connect())
            connection.setblocking(False)
            pending.append(connection)
        # Until the server takes no more of them: its answers fill all buffers, and it waits for somebody to read.
        while pending:
            pending = [each for each in pending if sent(each, request * 100)]
        assert web.ask(POST)[0] == 202
    assert "Traceback" not in web.log()


def sent(connection: socket.socket, data: bytes) -> bool:
    """Send what goes within a second; return whether anything did."""
    _, writable, _ = select.select([], [connection], [], 1)
    try:
        return bool(writable) and connection.send(data) > 0
    except OSError:  # the server has had enough
        return False


def test_a_zipkin_that_hangs_slows_no_order(start: Callable[..., Web]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as hanging, ExitStack() as open_connections:
        web = start(ZIPKIN_URL=f"http://127.0.0.1:{hanging.getsockname()[1]}")
        viewers = [open_connections.enter_context(web.connect()) for _ in range(MANY)]
        for viewer in viewers:
            viewer.sendall(b"GET /api/journeys HTTP/1.1\r\nHost: shop\r\n\r\n")
        began = time.monotonic()
        statuses = [web.ask(POST)[0] for _ in range(10)]
        took = time.monotonic() - began
        waiting = [viewer for viewer in viewers if viewer not in select.select(viewers, [], [], 0)[0]]
        answers = [answer(viewer) for viewer in viewers]

    assert statuses == [202] * 10
    assert took < ANSWER_SECONDS
    assert 0 < len(waiting) <= AT_ONCE
    refused = [(headers, document) for status, headers, document in answers if status == 503]
    assert len(refused) == MANY - AT_ONCE
    assert {status for status, _, _ in answers} == {502, 503}
    assert all(headers["retry-after"] == "1" and "wait for Zipkin" in each["detail"] for headers, each in refused)


def test_sigterm_with_slow_clients_ends_the_process(start: Callable[..., Web]) -> None:
    web = start(GUNICORN_CMD_ARGS="--graceful-timeout 600")
    with ExitStack() as open_connections:
        for begun in UNFINISHED.values():
            open_connections.enter_context(web.connect()).sendall(begun)
        kept = open_connections.enter_context(web.connect())
        kept.sendall(POST)
        assert answer(kept)[0] == 202
        web.process.send_signal(signal.SIGTERM)

        assert web.process.wait(timeout=120) == 0
    assert "Traceback" not in web.log()


def test_a_kill_loses_no_order_that_was_accepted(web: Web) -> None:
    accepted: list[str] = []

    def place_orders() -> None:
        with suppress(OSError), web.connect() as connection:
            while True:
                connection.sendall(POST)
                status, _, order = answer(connection)
                if status != 202:
                    return
                accepted.append(order["order_id"])

    with ThreadPoolExecutor(gunicorn_conf.threads) as clients:
        for _ in range(gunicorn_conf.threads):
            clients.submit(place_orders)
        wait_until(
            "orders are accepted",
            lambda: None if len(accepted) > 10 * gunicorn_conf.threads else f"{len(accepted)} are",
            timeout=PATIENCE,
        )
        worker = worker_of(web)
        web.process.kill()  # first, so that it starts no other one
        os.kill(worker, signal.SIGKILL)
    database = Database(web.database_url)
    with database.read() as connection:
        kept = set(connection.execute(text("SELECT order_id FROM orders")).scalars())
        announced = {key.decode() for key in connection.execute(text("SELECT key FROM outbox")).scalars()}
    database.close()

    assert set(accepted) <= kept
    assert kept == announced


MALFORMED = {
    "no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative number": b"-2\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "more than it says": b"1\r\n{}\r\n0\r\n\r\n",
    "a bad trailer": b"2\r\n{}\r\n0\r\n\0bad\r\n\r\n",
    "a bad extension": b"2;\0\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("chunks", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_chunks_are_400(web: Web, chunks: bytes) -> None:
    status, headers, document = web.ask(CHUNKED + chunks)

    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert "chunks" in document["detail"]
    assert "Traceback" not in web.log()
    assert web.orders() == 0


@pytest.mark.parametrize(
    "sent", [POST.replace(b"Content-Length: 1", b"Content-Length: 2"), WHOLE_CHUNKS[:-5], POST[:-1]]
)
def test_a_body_shorter_than_announced_is_400_and_no_order(web: Web, sent: bytes) -> None:
    status, _, _ = web.ask(sent, then_hang_up=True)

    assert status == 400
    assert web.orders() == 0


def test_half_a_header_and_then_nothing_is_no_request(web: Web) -> None:
    assert web.ask(HEAD, then_hang_up=True)[0] == 0
    assert "Traceback" not in web.log()


def test_a_connection_takes_many_requests_however_they_are_cut(web: Web) -> None:
    with web.connect() as connection:
        for cut in (1, len(HEAD), len(POST) - 1):
            connection.sendall(POST + WHOLE_CHUNKS + POST[:cut])
            statuses = [answer_one_by_one(connection) for _ in range(2)]
            connection.sendall(POST[cut:])
            statuses.append(answer_one_by_one(connection))

            assert statuses == [202, 202, 202]
    assert web.orders() == 9


def answer_one_by_one(connection: socket.socket) -> int:
    """Read one answer and nothing of the next."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length
    connection.recv(int(length[1]), socket.MSG_WAITALL)
    return int(head.split()[1])


EXPECTING = POST.replace(b"Host:", b"Expect: 100-Continue\r\nHost:")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def all_of(connection: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_client_that_waits_to_be_told_to_go_on_is_told_once(web: Web) -> None:
    head, end, body = EXPECTING.replace(b"Host:", b"Connection: close\r\nHost:").partition(b"\r\n\r\n")
    with web.connect() as connection:
        connection.sendall(head + end)
        told = connection.recv(1024)
        connection.sendall(body)
        answered = all_of(connection)

    assert told == CONTINUE
    assert answered.startswith(b"HTTP/1.1 202 ")
    assert CONTINUE not in answered


UNTOLD = {
    "has sent its body": (EXPECTING, 202),
    "speaks HTTP/1.0": (EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"), 202),
    "expects something else": (EXPECTING.replace(b"100-Continue", b"200-ok"), 417),
}


@pytest.mark.parametrize(("request_", "status"), UNTOLD.values(), ids=UNTOLD.keys())
def test_nobody_else_is_told_to_go_on(web: Web, request_: bytes, status: int) -> None:
    head, end, body = request_.replace(b"Host:", b"Connection: close\r\nHost:").partition(b"\r\n\r\n")
    with web.connect() as connection:
        if status == 202 and b"HTTP/1.0" not in head:
            connection.sendall(head + end + body)
        else:
            connection.sendall(head + end)
            # Time for the server to answer the head, if it does.
            select.select([connection], [], [], 1)
            with suppress(OSError):
                connection.sendall(body)
        answered = all_of(connection)

    assert answered.startswith(b"HTTP/1.1 %d " % status) or answered.startswith(b"HTTP/1.0 %d " % status)
    assert CONTINUE not in answered


ENDLESS = HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"


def test_a_length_that_no_number_can_hold_is_400_and_ends_nobody_else(web: Web) -> None:
    with web.connect() as bystander:
        bystander.sendall(POST[:-1])
        alone, _, _ = web.ask(ENDLESS)
        with web.connect() as connection:
            connection.sendall(POST + ENDLESS)
            pipelined = [answer_one_by_one(connection) for _ in range(2)]
        bystander.sendall(POST[-1:])

        assert alone == 400
        assert pipelined == [202, 400]
        assert answer(bystander)[0] == 202
    assert "Traceback" not in web.log()


def test_the_rest_of_an_unfinished_request_is_never_read_as_the_next(web: Web) -> None:
    big = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(5))
    head = HEAD + big + b"Content-Length: 63000\r\n\r\n"
    begun = gunicorn_worker.MAX_BYTES + 1
    with web.connect() as connection:
        connection.sendall(head + b" " * (begun - len(head)))
        first = connection.recv(65536)
        with suppress(OSError):
            connection.sendall(POST)
            first += all_of(connection)

    assert first.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in first.lower()
    assert web.orders() == 0


def test_what_unfinished_requests_hold_is_bounded(web: Web) -> None:
    # The larger part is in headers, of which the parser has a copy.
    big = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(11))
    begun = HEAD + big + b"X: " + b"x" * 7000
    before = held = resident(web)
    with ExitStack() as open_connections:
        clients = [open_connections.enter_context(web.connect()) for _ in range(gunicorn_conf.worker_connections)]
        for client in clients:
            client.sendall(begun)
        # Until the first of them is ended.
        while not select.select(clients[:1], [], [], 0.1)[0]:
            held = max(held, resident(web))

    assert held - before < 60 * 2**20


def resident(web: Web) -> int:
    """Return the bytes of memory that the worker process has."""
    pages = Path(f"/proc/{worker_of(web)}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def worker_of(web: Web) -> int:
    """Return the process that answers."""
    return int(Path(f"/proc/{web.process.pid}/task/{web.process.pid}/children").read_text().split()[0])


REFUSED = ["--certfile cert.pem --keyfile key.pem", "--proxy-protocol", "--protocol uwsgi", "--http2-cleartext both"]


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_the_worker_would_ignore_is_refused_at_the_start(tmp_path: Path, arguments: str) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    web = Web(tmp_path, GUNICORN_CMD_ARGS=f"--chdir {tmp_path} {arguments}")
    try:
        code = web.process.wait(timeout=PATIENCE)
    finally:
        web.process.kill()

    assert code == 2
    assert f"{arguments.split()[0].strip('-').replace('-', '_')} is not for this service" in web.log()
    assert "Traceback" not in web.log()


@pytest.mark.parametrize("length", [65 * 1024, 10**7])
def test_a_body_that_is_too_long_is_refused_before_it_is_all_there(web: Web, length: int) -> None:
    chunk = b"%x\r\n%s\r\n" % (1024, b" " * 1024)
    announced, _, _ = web.ask(HEAD + b"Content-Length: %d\r\n\r\n" % length + b" " * min(length, 100 * 1024))
    chunked, _, _ = web.ask(CHUNKED + chunk * 128)

    assert (announced, chunked) == (413, 413)


@pytest.mark.parametrize("name", [b"SCRIPT_NAME", b"Script-Name", b"PATH_INFO"])
def test_a_client_does_not_say_where_the_service_is_mounted(web: Web, name: bytes) -> None:
    status, headers, _ = web.ask(POST.replace(b"Host:", name + b": /orders\r\nHost:"))

    assert status == 202
    assert headers["location"].startswith("/orders/")


def test_under_a_prefix_everything_is_there_and_what_is_asked_without_it_too(start: Callable[..., Web]) -> None:
    web = start(SCRIPT_NAME="/shop")

    def get(path: str) -> tuple[int, Any]:
        status, _, body = web.ask(b"GET %s HTTP/1.1\r\nHost: shop\r\n\r\n" % path.encode())
        return status, body

    status, headers, order = web.ask(POST.replace(b"/orders", b"/shop/orders", 1))
    page = get("/shop/")[1].decode()
    linked = set(re.findall(r'(?:href|src)="([^"#]+)"', page))

    assert status == 202
    assert headers["location"] == f"/shop/orders/{order['order_id']}"
    assert get(headers["location"])[0] == get("/readyz")[0] == get("/shop/readyz")[0] == 200
    assert get("/shopping/orders")[0] == get("/shop/shop/readyz")[0] == 404
    assert {path: get(path)[0] for path in linked} == dict.fromkeys(linked, 200)
    assert all(path.startswith("/shop/") for path in linked)
