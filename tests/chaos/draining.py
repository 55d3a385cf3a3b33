"""Waits until all that was asked for is done, or nothing moves any more."""

import time

from tests.chaos.scene import Scene
from tests.chaos.seen import Seen
from tests.chaos.traces import HOPS, hops

EVERY_S = 0.5
QUIET_S = 2.0


def drain(scene: Scene, *, patience: float) -> Seen:
    """Return what became of everything, once it is done and no more spans come.

    Done is: outboxes and topics are empty, every order is billed, mailed and noted, every trace has every hop. Where
    nothing has moved for *patience* seconds the wait is over: the checker says what is missing.
    """
    before: object = None
    moved = time.monotonic()
    while True:
        seen = scene.sources.look()
        reports = scene.audit.read()
        now = (seen, reports)
        if now != before:
            before, moved = now, time.monotonic()
        still = time.monotonic() - moved
        if (still > QUIET_S and _done(scene, seen)) or still > patience:
            return seen
        time.sleep(EVERY_S)


def _done(scene: Scene, seen: Seen) -> bool:
    ids = {order.order_id for order in seen.orders}
    done = ids <= {order_id for _, order_id in seen.invoices} & {mail.order_id for mail in seen.mails} & seen.noted
    traces = scene.audit.traces
    whole = all(order.trace_id in traces and HOPS <= hops(traces[order.trace_id]) for order in seen.orders)
    return done and whole and not seen.unsent and not any(scene.topics.lags().values())
