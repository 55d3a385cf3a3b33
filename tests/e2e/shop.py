"""The system as its users see it: orders go in by HTTP, e-mails come out, traces are in Zipkin."""

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

import journey
import requests

from tests.e2e.mails import Mail, Mailbox
from tests.e2e.polling import poll_until
from tests.order_journey import ORDER_JOURNEY


@dataclass(frozen=True)
class Placed:
    """An order that was accepted, with what must come of it."""

    order_id: str
    trace_id: str
    email: str
    total: Decimal
    caller: str | None = None
    """The caller's span, where the order was placed within a trace of the caller's."""


class Shop:
    """A customer's view of one running system."""

    def __init__(self, *, orders_url: str, zipkin_url: str, mailbox: Mailbox) -> None:
        self.orders_url = orders_url
        self.zipkin_url = zipkin_url
        self.mailbox = mailbox
        self._local = threading.local()

    def post(self, number: int, *, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Send order *number*; every number has another total."""
        order = {
            "customer": {"email": _email(number)},
            "currency": "EUR",
            "items": [
                {"sku": "BOOK-1", "quantity": 1 + number % 7, "unit_price": f"{10 + number}.99"},
                {"sku": "PEN-2", "quantity": 3, "unit_price": "0.10"},
            ],
        }
        return self._session.post(f"{self.orders_url}/orders", json=order, headers=headers, timeout=10)

    def place(
        self,
        number: int = 1,
        *,
        traceparent: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Placed:
        """Place order *number* and return what was promised for it."""
        own = {"traceparent": traceparent, "Idempotency-Key": key}
        answer = self.post(number, headers={**(headers or {}), **{name: text for name, text in own.items() if text}})
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
        return Placed(
            order_id=answer.json()["order_id"],
            trace_id=answer.json()["trace_id"],
            email=_email(number),
            total=(1 + number % 7) * Decimal(f"{10 + number}.99") + 3 * Decimal("0.10"),
            caller=traceparent.split("-")[2] if traceparent else None,
        )

    def place_within_own_trace(self, number: int) -> Placed:
        """Place an order as a step of a trace of the caller's."""
        trace_id = secrets.token_hex(16)
        placed = self.place(number, traceparent=f"00-{trace_id}-{secrets.token_hex(8)}-01")
        assert placed.trace_id == trace_id
        return placed

    def place_in_spite_of_restarts(self, number: int) -> Placed:
        """Place an order, repeating the request under one Idempotency-Key until it is answered."""
        key = secrets.token_hex(16)

        def attempt() -> Placed | None:
            try:
                return self.place(number, key=key)
            # The last: killed while it answered.
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                return None

        return poll_until(attempt, f"order {number} is answered", timeout=60)

    def place_all(
        self, numbers: Iterable[int], *, place: Callable[[int], Placed] | None = None, threads: int = 8
    ) -> list[Placed]:
        """Place many orders at once."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(place or self.place_within_own_trace, numbers))

    def expect_exact_journeys(self, orders: Collection[Placed], *, timeout: float = 60) -> None:
        """Wait until every order's trace is the declared journey, span by span; fail with the trees that are not."""
        expected = {order.trace_id: order for order in orders}
        assert len(expected) == len(orders), "orders share a trace"
        pending = set(expected)

        def inexact(trace_ids: Collection[str]) -> set[str]:
            found = journey.fetch_many(self.zipkin_url, trace_ids, self._session)
            exact = {
                trace_id
                for trace_id, trace in found.items()
                if not journey.differences(trace, ORDER_JOURNEY, expected[trace_id].caller)
            }
            return set(trace_ids) - exact

        def all_exact() -> bool:
            pending.intersection_update(inexact(pending))
            return not pending

        try:
            poll_until(all_exact, "every journey is exact", timeout=timeout, every=0.3)
        except AssertionError:
            raise AssertionError(self._describe([expected[each] for each in pending], len(orders))) from None
        # A second look, at traces that have been whole for a while: a span too many may come late.
        too_much = inexact(expected)
        assert not too_much, self._describe([expected[each] for each in too_much], len(orders))

    def expect_one_mail_each(self, orders: Collection[Placed], *, timeout: float = 60) -> None:
        """Wait until every order has its e-mail, then check that each has one only, with the right amount."""
        mails = self.expect_mail_each(orders, timeout=timeout)
        repeated = [order.order_id for order in orders if len(mails[order.order_id]) != 1]

        assert not repeated, f"more than one e-mail for {repeated}"

    def expect_mail_each(self, orders: Collection[Placed], *, timeout: float = 60) -> dict[str, list[Mail]]:
        """Wait until every order has its e-mail, then check amounts and numbers; a repeat is the same e-mail again."""
        ids = {order.order_id for order in orders}
        poll_until(
            lambda: not ids - self.mailbox.by_order().keys(),
            f"{len(ids)} orders have their e-mail",
            timeout=timeout,
        )
        mails = self.mailbox.by_order()
        wrong = [
            order
            for order in orders
            if {(mail.to, mail.total, mail.currency) for mail in mails[order.order_id]}
            != {(order.email, order.total, "EUR")}
        ]
        numbers = {mail.invoice_number for order_id in ids for mail in mails[order_id]}
        messages = {mail.message_id for order_id in ids for mail in mails[order_id]}

        assert not wrong, f"not the right recipient or total: {[(order, mails[order.order_id]) for order in wrong[:3]]}"
        assert len(numbers) == len(messages) == len(ids), "not one invoice number and one Message-ID for each order"
        return mails

    def expect_no_gap_in_invoice_numbers(self) -> None:
        """Wait until all invoices ever mailed are numbered 1, 2, 3, …: the last ones may still be on their way."""

        def gaps() -> set[int]:
            mails = [mail for of_order in self.mailbox.by_order().values() for mail in of_order]
            numbers = {int(mail.invoice_number.removeprefix("INV-")) for mail in mails}
            return set(range(1, max(numbers) + 1)) - numbers

        try:
            poll_until(lambda: not gaps(), "every invoice is mailed", timeout=60)
        except AssertionError:
            raise AssertionError(f"invoices that nobody got: {sorted(gaps())[:10]}") from None

    def all_trace_ids(self) -> set[str]:
        """Return the ids of all traces that Zipkin has of any service (at most 5,000 for each)."""
        services = self._session.get(f"{self.zipkin_url}/api/v2/services", timeout=5).json()
        return {
            span["traceId"]
            for service in services
            for trace in self._session.get(
                f"{self.zipkin_url}/api/v2/traces", params={"serviceName": service, "limit": "5000"}, timeout=30
            ).json()
            for span in trace
        }

    def _describe(self, missing: Iterable[Placed], total: int) -> str:
        missing = list(missing)
        lines = [f"{len(missing)} of {total} journeys are not exact; the first of them:"]
        for order in missing[:3]:
            trace = journey.fetch(self.zipkin_url, order.trace_id)
            lines.append(f"\norder {order.order_id}, trace {order.trace_id}:")
            if trace is None:
                lines.append("Zipkin does not have it")
            else:
                lines.append(journey.report(trace, ORDER_JOURNEY, order.caller))
        return "\n".join(lines)

    @property
    def _session(self) -> requests.Session:
        # A session is not safe between threads.
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        return self._local.session


def _email(number: int) -> str:
    # The name is looked for in logs and spans, where it must not be.
    return f"canary-{number}@example.com"
