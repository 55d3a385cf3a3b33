"""Waits until all that was asked for is done, or nothing moves any more."""

import time
from collections.abc import Iterator

from tests.chaos.scene import Scene
from tests.chaos.seen import Seen
from tests.chaos.traces import HOPS, hops

EVERY_S = 0.5
QUIET_S = 2.0
TOLD_EVERY_S = 10.0


def drain(scene: Scene, *, patience: float) -> Seen:
    """Return what became of everything, once it is done and no more spans come.

    Done is: outboxes and topics are empty, every order is billed, mailed and noted, every trace has every hop. Where
    nothing has moved for *patience* seconds the wait is over: the checker says what is missing.
    """
    before: object = None
    moved = told = time.monotonic()
    while True:
        now = (scene.sources.progress(), scene.audit.read())
        if now != before:
            before, moved = now, time.monotonic()
        still = time.monotonic() - moved
        to_tell = time.monotonic() - told > TOLD_EVERY_S
        if still > QUIET_S or to_tell:
            seen = scene.sources.look()
            missing = list(_missing(scene, seen))
            if still > (patience if missing else QUIET_S):
                return seen
            if to_tell:
                told = time.monotonic()
                print(f"  waiting: {', '.join(missing)}", flush=True)
        time.sleep(EVERY_S)


def _missing(scene: Scene, seen: Seen) -> Iterator[str]:
    """Say what is still to come, and how much of it."""
    ids = {order.order_id for order in seen.orders}
    yield from _some(len(seen.unsent), "in outboxes")
    yield from _some(len(ids - {order_id for _, order_id in seen.invoices}), "to be billed")
    yield from _some(len(ids - {mail.order_id for mail in seen.mails}), "to be mailed")
    yield from _some(len(ids - seen.noted), "to be noted")
    traces = scene.audit.traces
    yield from _some(
        sum(not HOPS <= hops(traces.get(order.trace_id, {})) for order in seen.orders), "traces to be whole"
    )
    for group, lag in scene.topics.lags().items():
        yield from _some(lag, f"to be read by {group}")


def _some(count: int, what: str) -> Iterator[str]:
    if count:
        yield f"{count} {what}"
