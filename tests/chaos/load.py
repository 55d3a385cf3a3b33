"""Orders at intended times, whatever the system does meanwhile, and a ledger of what it answered."""

import json
import random
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.chaos.ledger import Entry, Ledger, Verdict, agent, email

TIMEOUT_S = 12
INVALID = 0.06
WITHOUT_TRACE = 0.15


class Load:
    """Send orders at *rate* a second for as long as the `with` block lasts, then wait for the last answers.

    Open loop: every request has a thread of its own, so that a server which stalls does not slow it down. `latest` is
    the longest delay, in seconds, between the intended time of a request and its sending.
    """

    def __init__(self, orders_url: str, ledger: Ledger, *, rate: float, seed: int) -> None:
        self._address = urlsplit(orders_url)
        self._ledger = ledger
        self._rate = rate
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="load")
        self.sent = 0
        self.latest = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _send_all(self) -> None:
        began, clock = time.monotonic(), time.time() - time.monotonic()
        with ThreadPoolExecutor(max_workers=int(self._rate * TIMEOUT_S * 2)) as pool:
            for number in count(len(self._ledger)):
                due = began + (number + self._random.random()) / self._rate
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                body, headers = self.request(number)
                pool.submit(self._place, number, due + clock, body, headers)
                self.sent += 1

    def request(self, number: int) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of the next request."""
        headers = {"Content-Type": "application/json", "User-Agent": agent(number), "Connection": "close"}
        chance = self._random.random()
        if chance > WITHOUT_TRACE:
            headers["traceparent"] = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        if chance < 1 - INVALID:
            return json.dumps(order(number)).encode(), headers
        return self._random.choice(INVALIDS)(number), headers

    def _place(self, number: int, intended: float, body: bytes, headers: dict[str, str]) -> None:
        sent = time.time()
        self.latest = max(self.latest, sent - intended)
        status, answer = self._post(body, headers)
        _, trace_id, caller, _ = headers["traceparent"].split("-") if "traceparent" in headers else [None] * 4
        self._ledger.add(
            Entry(
                number=number,
                intended=intended,
                sent=sent,
                answered=time.time(),
                verdict=verdict(status),
                answer=str(status),
                trace_id=trace_id or answer.get("trace_id"),
                caller=caller,
                order_id=answer.get("order_id"),
            )
        )

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int | str, dict[str, Any]]:
        """Return the status, or what came instead of one, and the answer's content where it can be read."""
        connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=TIMEOUT_S)
        status: int | str = ""
        try:
            connection.request("POST", "/orders", body, headers)
            response = connection.getresponse()
            status = response.status
            return status, json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            return status or type(error).__name__, {}
        finally:
            connection.close()


def verdict(status: int | str) -> Verdict:
    """Tell what an answer promises."""
    if status == 202:
        return Verdict.MUST
    return Verdict.MUST_NOT if isinstance(status, int) and 400 <= status < 500 else Verdict.MAY


def order(number: int) -> dict[str, Any]:
    """A good order."""
    return {
        "customer": {"email": email(number)},
        "currency": "EUR",
        "items": [{"sku": f"BOOK-{number % 100}", "quantity": 1 + number % 7, "unit_price": f"{10 + number % 500}.99"}],
    }


# Each would be billed if somebody took it for an order: the address is right.
INVALIDS = (
    lambda number: json.dumps(order(number)).encode()[:-1],
    lambda number: json.dumps(order(number) | {"currency": "euro"}).encode(),
    lambda number: json.dumps(order(number) | {"items": []}).encode(),
    lambda number: json.dumps(order(number) | {"coupon": "FREE"}).encode(),
    lambda number: json.dumps(order(number) | {"items": [{"sku": "PEN", "quantity": 0, "unit_price": "1"}]}).encode(),
)
