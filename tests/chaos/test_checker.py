"""The checker finds what it is there for: a run in which all went well, and one thing made wrong in it at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from journey import Span

from tests.chaos.audit import Spans
from tests.chaos.checker import judge
from tests.chaos.findings import KINDS, Excuses, Fault, Finding
from tests.chaos.ledger import Entry, Verdict
from tests.chaos.seen import Mail, Order, Seen
from tests.chaos.traces import Apart, Traces
from tests.order_journey import ORDER_JOURNEY

T = 1_800_000_000.0  # seconds since the epoch; request n is sent at T + n


@dataclass
class Run:
    """A run of three orders and a refused request that went well."""

    ledger: dict[int, Entry] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    traces: dict[str, Spans] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    apart: Apart = field(default_factory=Apart)

    @classmethod
    def good(cls) -> "Run":
        run = cls()
        for n in (1, 2, 3):
            run.ledger[n] = Entry(n, T + n, T + n, T + n, Verdict.MUST, "202", f"t-{n}", f"caller-{n}", f"o-{n}")
            run.traces[f"t-{n}"] = journey_of(n)
        run.ledger[4] = Entry(4, T + 4, T + 4, T + 4, Verdict.MUST_NOT, "422", "t-4", "caller-4")
        run.add(server(4))
        ids = ("o-1", "o-2", "o-3")
        run.seen = Seen(
            orders=frozenset(Order(f"o-{n}", n, f"t-{n}") for n in (1, 2, 3)),
            invoices=frozenset((f"INV-{order}", order) for order in ids),
            noted=frozenset(ids),
            mails=tuple(Mail(order, f"<{order}>", f"INV-{order}", T + 10) for order in ids),
        )
        return run

    def add(self, *spans: Span) -> None:
        for span in spans:
            self.traces.setdefault(span.trace_id, {})[span.id, span.parent_id] = span

    def drop(self, *spans: Span) -> None:
        for span in spans:
            del self.traces[span.trace_id][span.id, span.parent_id]

    def change(self, **seen: object) -> None:
        self.seen = replace(self.seen, **seen)

    def findings(self, *, replicas: int = 1) -> set[Finding]:
        excuses = Excuses(self.faults, replicas=replicas)
        by_hand = {record for fault in self.faults for record in fault.written.values()}
        traces = Traces(self.traces, self.ledger, self.seen.orders, self.seen.mailed, by_hand, excuses, self.apart)
        return {*judge(self.ledger, self.seen, self.faults, excuses), *traces.judge()}

    def kinds(self) -> set[tuple[str, str]]:
        return {(finding.kind, finding.subject) for finding in self.findings()}


def journey_of(n: int) -> Spans:
    spans = [row(n, number) for number in range(1, 7)]
    return {(span.id, span.parent_id): span for span in spans}


def row(n: int, number: int, **changes: object) -> Span:
    """One span of the journey of order *n*: record *n* of partition 0 in either topic."""
    declared = ORDER_JOURNEY[number - 1]
    tags = {1: {"user_agent.original": f"chaos/{n}"}, 6: {}}.get(number) or {
        "messaging.destination.name": declared.name.split()[-1],
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": str(n),
    }
    span = Span(
        trace_id=f"t-{n}",
        id=f"{n}-{number}",
        parent_id=f"{n}-{number - 1}" if number > 1 else f"caller-{n}",
        name=declared.name,
        service=declared.service,
        kind=declared.kind,
        start=int((T + n) * 1e6),
        duration=1000,
        tags=tags if number < 6 else {},
    )
    return replace(span, **changes)


def server(n: int) -> Span:
    return row(n, 1)


def twice(run: Run, order: str = "o-1", *, after: float = 1, **changes: str) -> None:
    first = next(mail for mail in run.seen.mails if mail.order_id == order)
    run.change(mails=(*run.seen.mails, replace(first, at=first.at + after, **changes)))


def without(things: frozenset, order: str) -> frozenset:
    return frozenset(each for each in things if order not in (each if isinstance(each, tuple) else (each,)))


def lose(run: Run, order: str) -> None:
    run.change(
        invoices=without(run.seen.invoices, order),
        noted=without(run.seen.noted, order),
        mails=tuple(mail for mail in run.seen.mails if mail.order_id != order),
    )


def accepted_and_not_stored(run: Run) -> None:
    lose(run, "o-1")
    run.change(orders=frozenset(order for order in run.seen.orders if order.number != 1))


def never_billed(run: Run) -> None:
    lose(run, "o-1")


def never_mailed(run: Run) -> None:
    run.change(mails=tuple(mail for mail in run.seen.mails if mail.order_id != "o-1"))


def never_noted(run: Run) -> None:
    run.change(noted=without(run.seen.noted, "o-1"))


def unanswered_stored_and_lost(run: Run) -> None:
    run.ledger[1] = replace(run.ledger[1], verdict=Verdict.MAY, answer="TimeoutError", order_id=None)
    run.faults.append(Fault("kill", "orders", T, T + 1))
    lose(run, "o-1")


def in_dead_letters(run: Run) -> None:
    lose(run, "o-1")
    run.change(letters={"billing": frozenset({"o-1"})})


def refused_and_stored(run: Run) -> None:
    run.ledger[1] = replace(run.ledger[1], verdict=Verdict.MUST_NOT, answer="422", order_id=None)


def never_asked_for(run: Run) -> None:
    del run.ledger[1]


def billed_out_of_nowhere(run: Run) -> None:
    run.change(invoices=run.seen.invoices | {("INV-9", "o-9")})


def mailed_out_of_nowhere(run: Run) -> None:
    run.change(mails=(*run.seen.mails, Mail("o-9", "<o-9>", "INV-9", T + 10)))


def stored_twice(run: Run) -> None:
    run.change(orders=run.seen.orders | {Order("o-5", 1, "t-1")})


def billed_twice(run: Run) -> None:
    run.change(invoices=run.seen.invoices | {("INV-9", "o-1")})


def mailed_with_two_numbers(run: Run) -> None:
    run.faults.append(Fault("kill", "notifier", T + 10.5, T + 10.6))
    twice(run, invoice="INV-9")


def mailed_twice(run: Run) -> None:
    twice(run)


def mailed_twice_after_a_kill_that_was_over(run: Run) -> None:
    run.faults.append(Fault("kill", "notifier", T + 8, T + 9))
    twice(run)


def mailed_twice_after_a_rewind(run: Run) -> None:
    run.faults.append(Fault("rewind", "notifier", T + 10.2, T + 10.4))
    twice(run)


def mailed_under_two_ids(run: Run) -> None:
    run.faults.append(Fault("kill", "notifier", T + 10.5, T + 10.6))
    twice(run, message_id="<other>")


def still_in_an_outbox(run: Run) -> None:
    lose(run, "o-1")
    run.change(unsent=frozenset({"o-1"}))


def still_in_a_topic(run: Run) -> None:
    lose(run, "o-1")
    run.change(unread={"billing": frozenset({"o-1"}), "notifier": frozenset()})


def good_order_refused(run: Run) -> None:
    accepted_and_not_stored(run)
    run.ledger[1] = replace(run.ledger[1], verdict=Verdict.MAY, answer="503", order_id=None)


def poison_gone(run: Run) -> None:
    run.faults.append(Fault("poison", "orders", T, T, written={"a tombstone 7": ("orders", 0, 77)}))


def hop_gone(run: Run) -> None:
    run.drop(row(1, 6))


def parent_gone(run: Run) -> None:
    run.add(row(1, 4, id="again", parent_id="gone"))


def stale_parent(run: Run) -> None:
    """A copied traceparent: the second try hangs from the first sending."""
    retry = {"messaging.destination.name": "billing.retry"}
    run.add(
        row(1, 2, id="to-retry", name="send billing.retry", service="billing", parent_id="1-3", tags=retry),
        row(1, 3, id="retried", name="process billing.retry", parent_id="1-2", tags=retry),
    )


def root_with_another_caller(run: Run) -> None:
    run.drop(server(1))
    run.add(row(1, 1, parent_id=None))


def step_in_a_trace_of_its_own(run: Run) -> None:
    run.add(row(1, 5, id="again", trace_id="t-9", parent_id=None))


def stored_in_another_trace(run: Run) -> None:
    run.ledger[1] = replace(run.ledger[1], trace_id="t-8")


def stored_without_a_trace(run: Run) -> None:
    run.change(orders=run.seen.orders - {Order("o-1", 1, "t-1")} | {Order("o-1", 1, None)})


def two_orders_in_one_trace(run: Run) -> None:
    run.change(orders=run.seen.orders - {Order("o-2", 2, "t-2")} | {Order("o-2", 2, "t-1")})


def step_in_the_trace_of_another_order(run: Run) -> None:
    run.add(row(2, 3, id="lent", trace_id="t-1", parent_id="1-2"))


def two_requests_in_one_trace(run: Run) -> None:
    run.add(row(2, 1, trace_id="t-1", parent_id="caller-1"))


def trace_of_nobody(run: Run) -> None:
    run.add(Span("t-9", "x", None, "receive orders", "billing", "CLIENT"))


WRONG: list[tuple[str, str, Callable[[Run], None]]] = [
    ("lost-order", "o-1", accepted_and_not_stored),
    ("lost-order", "o-1", never_billed),
    ("lost-order", "o-1", never_mailed),
    ("lost-order", "o-1", never_noted),
    ("lost-order", "o-1", unanswered_stored_and_lost),
    ("lost-order", "o-1", in_dead_letters),
    ("phantom-bill", "o-1", refused_and_stored),
    ("phantom-bill", "o-1", never_asked_for),
    ("phantom-bill", "o-9", billed_out_of_nowhere),
    ("phantom-bill", "o-9", mailed_out_of_nowhere),
    ("duplicate-bill", "request 1", stored_twice),
    ("duplicate-bill", "o-1", billed_twice),
    ("duplicate-bill", "o-1", mailed_with_two_numbers),
    ("duplicate-mail", "o-1", mailed_twice),
    ("duplicate-mail", "o-1", mailed_twice_after_a_kill_that_was_over),
    ("duplicate-mail", "o-1", mailed_twice_after_a_rewind),
    ("duplicate-mail", "o-1", mailed_under_two_ids),
    ("stuck", "o-1", still_in_an_outbox),
    ("stuck", "o-1", still_in_a_topic),
    ("refused-order", "request 1", good_order_refused),
    ("unkept-poison", "orders/0 offset 77", poison_gone),
    ("trace-missing-hop", "t-1", hop_gone),
    ("trace-orphan", "t-1", parent_gone),
    ("trace-wrong-parent", "t-1", stale_parent),
    ("trace-wrong-parent", "t-1", root_with_another_caller),
    ("trace-split", "t-1", step_in_a_trace_of_its_own),
    ("trace-split", "o-1", stored_in_another_trace),
    ("trace-split", "o-1", stored_without_a_trace),
    ("trace-merged", "t-1", two_orders_in_one_trace),
    ("trace-merged", "t-1", step_in_the_trace_of_another_order),
    ("trace-merged", "t-1", two_requests_in_one_trace),
    ("trace-junk", "t-9", trace_of_nobody),
]


def test_of_a_good_run_nothing_is_found() -> None:
    assert Run.good().findings() == set()


@pytest.mark.parametrize(("kind", "subject", "wrong"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_wrong_is_named(kind: str, subject: str, wrong: Callable[[Run], None]) -> None:
    run = Run.good()
    wrong(run)

    assert (kind, subject) in run.kinds()


def test_every_kind_of_finding_is_tried_here() -> None:
    assert {kind for kind, _, _ in WRONG} == set(KINDS)


@pytest.mark.parametrize(
    ("name", "target", "replicas"),
    [
        ("kill", "notifier", 1),
        ("kill", "kafka", 1),
        ("pause", "notifier-2", 2),
        ("lock", "notifier", 1),
        ("term", "notifier", 2),
    ],
)
def test_an_email_may_come_again_where_the_notifier_could_not_remember_it(
    name: str, target: str, replicas: int
) -> None:
    run = Run.good()
    run.faults.append(Fault(name, target, T + 10.5, T + 10.6))
    twice(run)

    assert run.findings(replicas=replicas) == set()


def test_a_span_reported_again_is_one_and_a_redelivery_is_no_fault() -> None:
    run = Run.good()
    run.add(row(1, 3), row(1, 3, id="again"), row(1, 4, id="again, too", parent_id="again"))

    assert run.findings() == set()


def test_what_a_killed_web_process_took_along_is_counted_apart() -> None:
    run = Run.good()
    run.faults.append(Fault("kill", "orders", T + 1.5, T + 1.6))
    run.drop(server(1))

    assert run.findings() == set()
    assert run.apart.server_spans == {"t-1"}


def test_a_killed_web_process_explains_no_other_missing_span() -> None:
    run = Run.good()
    run.faults.append(Fault("kill", "orders", T + 1.5, T + 1.6))
    run.drop(server(1), row(1, 4))

    assert run.kinds() == {("trace-missing-hop", "t-1"), ("trace-orphan", "t-1")}


def test_a_web_process_killed_later_explains_nothing() -> None:
    run = Run.good()
    run.faults.append(Fault("kill", "orders", T + 60, T + 61))
    run.drop(server(1))

    assert ("trace-missing-hop", "t-1") in run.kinds()


@pytest.mark.parametrize(
    ("began", "seconds", "explained"), [(9, 20, False), (9, 60, True), (11, 60, True), (14, 60, False)]
)
def test_only_an_outage_longer_than_the_exporters_patience_explains_lost_spans(
    began: float, seconds: float, explained: bool
) -> None:
    run = Run.good()  # it is mailed at T + 10, and its last spans wait a moment for their export
    run.faults.append(Fault("away", "collector", T + began, T + began + seconds))
    run.drop(row(1, 4))

    assert (run.findings() == set()) is explained
    assert run.apart.in_outage == ({"t-1"} if explained else set())


def test_an_unanswered_order_may_be_stored_or_not() -> None:
    run = Run.good()
    run.faults.append(Fault("kill", "orders", T, T + 1))
    run.ledger[1] = replace(run.ledger[1], verdict=Verdict.MAY, answer="TimeoutError", order_id=None)
    run.ledger[5] = replace(run.ledger[1], number=5, trace_id="t-5")

    assert run.findings() == set()


def test_a_machine_that_has_no_time_for_the_load_has_none_for_orders() -> None:
    run = Run.good()
    good_order_refused(run)
    starved = Excuses(run.faults, starved=[T + 0.5])

    assert {finding.kind for finding in judge(run.ledger, run.seen, run.faults, starved)} == set()


def test_traces_of_poison_and_of_refused_requests_are_no_junk() -> None:
    run = Run.good()
    run.faults.append(Fault("poison", "orders", T, T, written={"a tombstone 7": ("orders", 0, 77)}))
    run.change(letters={"billing": frozenset({"a tombstone 7"})})
    record = {**row(7, 3).tags, "messaging.kafka.offset": "77"}
    run.add(row(7, 3, trace_id="t-7", parent_id=None, tags=record))
    run.ledger[6] = replace(run.ledger[4], number=6, trace_id=None)
    run.add(row(6, 1, trace_id="t-6", parent_id=None))

    assert run.findings() == set()
