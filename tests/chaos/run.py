"""One run: load, faults, waiting, judgement."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from stack import Settings, Stack
from stack.zipkin import MAX_SPANS

from tests.chaos.checker import judge
from tests.chaos.conductor import conduct
from tests.chaos.draining import drain
from tests.chaos.findings import Excuses, Finding
from tests.chaos.load import Load
from tests.chaos.post import Post
from tests.chaos.recovery import work
from tests.chaos.report import Report
from tests.chaos.scene import Scene
from tests.chaos.seen import Seen
from tests.chaos.traces import Traces
from tests.chaos.zipkin import look_at
from tests.order_journey import ORDER_JOURNEY

SAMPLE = 50
# Zipkin forgets the oldest when it is full: repeats and refusals have spans, too, so half of what fits is safe.
KEPT = MAX_SPANS // (2 * len(ORDER_JOURNEY))
LATE_S = 1.0


@contextmanager
def scene_of(settings: Settings, seed: int, *, zipkin: bool = True) -> Iterator[Scene]:
    """A running system with a mail server of ours; at the end nothing is left running."""
    with Stack(settings) as stack, Post(settings.smtp_port, settings.mail_folder) as post:
        scene = Scene(stack, post, seed, random.Random(seed), zipkin)
        scene.up()
        yield scene


def run(scene: Scene, faults: Sequence[str], *, rate: float, times: int = 1, seconds: float = 0) -> Report:
    """Let the faults happen under load, wait until all is done, and judge what became of it."""
    with Load(scene.stack.settings.orders_url, scene.ledger, rate=rate, seed=scene.seed) as load:
        left_out = conduct(scene, faults, times=times, seconds=seconds)
    return replace(check(scene), rate=rate, left_out=left_out, latest=load.latest)


def check(scene: Scene, *, patience: float = 30) -> Report:
    """Wait until all is done, or nothing has moved for *patience* seconds, and judge what became of it."""
    seen = replace(drain(scene, patience=patience), unread=scene.topics.unread(), letters=scene.topics.letters())
    ledger = scene.ledger.by_number()
    starved = [entry.sent for entry in ledger.values() if entry.late > LATE_S]
    excuses = Excuses(scene.faults, replicas=len(scene.workers("notifier")), starved=starved)
    by_hand = {record for fault in scene.faults for record in fault.written.values()}
    traces = Traces(scene.audit.traces, ledger, seen.orders, seen.mailed, by_hand, excuses)
    findings = {*judge(ledger, seen, scene.faults, excuses), *traces.judge()}
    drawn = _sample(scene, seen, findings, traces) if scene.zipkin else {}
    in_zipkin = look_at(scene.stack.settings.zipkin_url, drawn)
    spans = [span for of_trace in scene.audit.traces.values() for span in of_trace.values()]
    return Report(
        seed=scene.seed,
        seconds=time.time() - scene.began,
        faults=scene.faults,
        answers=scene.ledger.answers(),
        orders=len(seen.orders),
        spans=len(spans),
        traces=len(scene.audit.traces),
        sampled=len(drawn),
        apart={
            "lost-server-spans": len(traces.apart.server_spans),
            "traces-lost-in-outage": len(traces.apart.in_outage),
            "requests-sent-late": len(starved),
        },
        recoveries=list(work(spans, ledger.values(), scene.instances).recoveries(scene.faults)),
        findings=sorted({*findings, *in_zipkin}),
    )


def _sample(scene: Scene, seen: Seen, findings: set[Finding], traces: Traces) -> dict[str, str | None]:
    """Draw some of the traces that Zipkin did not forget, and that are whole in the audit files, with their callers."""
    restart = max((fault.ended for fault in scene.faults if fault.target == "zipkin"), default=0.0)
    ledger = scene.ledger.by_number()
    broken = {finding.subject for finding in findings} | traces.apart.server_spans | traces.apart.in_outage
    known = [order for order in seen.orders if order.number in ledger and ledger[order.number].sent > restart]
    newest = sorted(known, key=lambda order: ledger[order.number].sent)[-KEPT:]
    whole = {order.trace_id: ledger[order.number].caller for order in newest if order.trace_id not in broken}
    return {each: whole[each] for each in scene.random.sample(sorted(whole), min(SAMPLE, len(whole)))}
