"""Judges a run: what was promised against what became of it. Sets of ids, never counts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from tests.chaos.findings import Excuses, Fault, Finding
from tests.chaos.ledger import Entry, Verdict
from tests.chaos.seen import Mail, Order, Seen
from tests.chaos.topics import group_of


def judge(ledger: Mapping[int, Entry], seen: Seen, faults: list[Fault], excuses: Excuses) -> Iterator[Finding]:
    """Yield what the databases and the mailbox show; traces are judged in `traces`."""
    yield from _requests(ledger, seen)
    yield from _orders(seen)
    yield from _bills(seen)
    yield from _mails(seen, excuses)
    yield from _refusals(ledger, excuses)
    yield from _poison(seen, faults)


def _requests(ledger: Mapping[int, Entry], seen: Seen) -> Iterator[Finding]:
    stored: dict[int, list[Order]] = defaultdict(list)
    for order in seen.orders:
        entry = ledger.get(order.number) if order.number is not None else None
        if entry is None:
            yield Finding("phantom-bill", order.order_id, "stored, and nobody asked for it")
        elif entry.verdict is Verdict.MUST_NOT:
            yield Finding("phantom-bill", order.order_id, f"stored, and request {entry.number} got {entry.answer}")
        else:
            stored[entry.number].append(order)
    for number, entry in ledger.items():
        ids = {order.order_id for order in stored[number]}
        if entry.verdict is Verdict.MUST and not ids:
            yield Finding("lost-order", entry.order_id or f"request {number}", "accepted, and not stored")
        elif len(ids) > 1:
            yield Finding("duplicate-bill", f"request {number}", f"stored as {sorted(ids)}")
        elif entry.order_id and {entry.order_id} != ids:
            yield Finding("lost-order", entry.order_id, f"accepted, and stored as {sorted(ids)}")


def _orders(seen: Seen) -> Iterator[Finding]:
    billed = {order_id for _, order_id in seen.invoices}
    mailed = {mail.order_id for mail in seen.mails}
    steps = (
        ("not billed", billed, "billing"),
        ("not mailed", mailed, "notifier"),
        ("not noted", seen.noted, "notifier"),
    )
    for order_id in (order.order_id for order in seen.orders):
        missing = [(step, group) for step, done, group in steps if order_id not in done]
        if missing:
            step, group = missing[0]
            where = _whereabouts(order_id, group, seen)
            yield Finding("stuck" if where else "lost-order", order_id, f"{step}; {where or _last(order_id, seen)}")


def _whereabouts(order_id: str, group: str, seen: Seen) -> str:
    if order_id in seen.unsent:
        return "still in an outbox"
    return f"{group} has not come to it" if order_id in seen.unread.get(group, ()) else ""


def _last(order_id: str, seen: Seen) -> str:
    groups = [group for group, keys in seen.letters.items() if order_id in keys]
    return f"in the dead letters of {', '.join(groups)}" if groups else "in no outbox, topic or dead letters"


def _bills(seen: Seen) -> Iterator[Finding]:
    known = {order.order_id for order in seen.orders}
    numbers: dict[str, set[str]] = defaultdict(set)
    for number, order_id in [*seen.invoices, *((mail.invoice, mail.order_id) for mail in seen.mails)]:
        numbers[order_id].add(number)
    for order_id, invoices in numbers.items():
        if order_id not in known:
            yield Finding("phantom-bill", order_id, f"{sorted(invoices)} for an order that orders does not have")
        if len(invoices) > 1:
            yield Finding("duplicate-bill", order_id, f"invoices {sorted(invoices)}")


def _mails(seen: Seen, excuses: Excuses) -> Iterator[Finding]:
    by_order: dict[str, list[Mail]] = defaultdict(list)
    for mail in sorted(seen.mails, key=lambda mail: mail.at):
        by_order[mail.order_id].append(mail)
    for order_id, mails in by_order.items():
        messages = sorted({mail.message_id for mail in mails})
        if len(messages) > 1:
            yield Finding("duplicate-mail", order_id, f"Message-IDs {messages}")
        for first, second in pairwise(mails):
            if not excuses.repeated_mail(first.at, second.at):
                yield Finding("duplicate-mail", order_id, f"again after {second.at - first.at:.3f} s, without a fault")


def _refusals(ledger: Mapping[int, Entry], excuses: Excuses) -> Iterator[Finding]:
    for number, entry in ledger.items():
        if entry.verdict is Verdict.MAY and not excuses.refused(entry.sent, entry.answered):
            took = entry.answered - entry.sent
            yield Finding("refused-order", f"request {number}", f"{entry.answer} after {took:.1f} s")


def _poison(seen: Seen, faults: list[Fault]) -> Iterator[Finding]:
    for key, (topic, partition, offset) in (item for fault in faults for item in fault.written.items()):
        if key not in seen.letters.get(group_of(topic), ()):
            yield Finding("unkept-poison", f"{topic}/{partition} offset {offset}", key)
