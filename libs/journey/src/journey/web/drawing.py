"""A trace as the page draws it: spans with their remarks, lanes of bars, and where the journey is.

Times are microseconds since the epoch; None if nothing tells.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from journey.messaging import is_dead_letters, is_retry, linked_from, topic_of
from journey.queues import queue_wait
from journey.trace import Node, Span, Trace
from journey.web.look import Look

_SIDE_TOPIC: Final = re.compile(r"kafka/([^.]+)\.(retry|dlq)")


def drawing(trace: Trace, look: Look) -> dict[str, Any]:
    """Return what the page needs to draw a trace, as JSON."""
    nodes = sorted((node for node in trace.tree() if node.span), key=lambda node: _start(node.span))
    spans = [_span(trace, node) for node in nodes]
    items = [item for number, span in enumerate(spans) for item in _items(number, span)]
    times = [time for item in items for time in (item["from"], item["to"])]
    start = min(times, default=None)
    return {
        "trace_id": trace.id,
        "start": start,
        "end": max(times, default=None),
        "spans": spans,
        "lanes": [
            {"name": name, "items": sorted((i for i in items if i["lane"] == name), key=lambda i: i["from"])}
            for name in _lanes(look.lanes, items)
        ],
        **_state(trace, look),
    }


def untaken(trace: Trace, span: Span) -> bool:
    """Tell whether nobody has read a message, as far as its trace tells."""
    return span.kind == "PRODUCER" and not trace.children(span)


def _start(span: Span | None) -> float:
    return span.start if span and span.start is not None else float("inf")


def _span(trace: Trace, node: Node) -> dict[str, Any]:
    span, wait = node.span, queue_wait(node)
    assert span
    return {
        "id": span.id,
        "name": span.name or "(no name)",
        "kind": span.kind,
        "service": span.service,
        "topic": topic_of(span),
        "lane": "mail" if span.kind == "CLIENT" and span.remote_service == "smtp" else span.service,
        "start": span.start,
        "duration": span.duration or 0,
        "depth": node.depth,
        "wait": max(0, wait.microseconds) if wait and span.start is not None else None,
        "error": span.error,
        "duplicate": _is_duplicate(span),
        "untaken": untaken(trace, span),
        "remarks": "; ".join(_remarks(trace, span)),
    }


def _is_duplicate(span: Span) -> bool:
    return span.tags.get("journey.duplicate") == "true"


def _remarks(trace: Trace, span: Span) -> Iterator[str]:
    if span.error is not None:
        yield f"✗ {span.error}"
    if _is_duplicate(span):
        names = {each.id: each.name for each in trace.spans}
        links = ", ".join(names.get(id, f"span {id}") for _, id in linked_from(span))
        yield "duplicate: recognised, and nothing done again" + (f"; linked to {links}" if links else "")
    if untaken(trace, span):
        yield waiting_words(topic_of(span))
    if span.parent_id and trace.parent(span) is None and span.kind != "SERVER":
        yield f"its parent, span {span.parent_id}, is missing"


def waiting_words(topic: str) -> str:
    """Say what a message does in a topic from which nobody has taken it."""
    if is_dead_letters(topic):
        return "kept here as a dead letter"
    return "waits for the next try" if is_retry(topic) else "waits"


def _items(number: int, span: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the bar of a span, and the bar of the wait before or after it."""
    if (start := span["start"]) is None:
        return
    end, queue = start + span["duration"], f"kafka/{span['topic']}"
    yield {"kind": "work", "lane": span["lane"], "from": start, "to": end, "span": number}
    if (wait := span["wait"]) is not None:
        yield {"kind": "wait", "lane": queue, "from": start - wait, "to": start, "span": number}
    if span["untaken"]:
        words = waiting_words(span["topic"])
        yield {"kind": "untaken", "lane": queue, "from": end, "to": end, "span": number, "words": words}


def _lanes(usual: Sequence[str], items: Sequence[dict[str, Any]]) -> list[str]:
    """Name the usual lanes and those that are needed besides; a service's retries and dead letters come behind it."""
    names = list(usual)
    for item in items:
        if (lane := item["lane"]) in names:
            continue
        owner = _owner(lane)
        behind = [at for at, name in enumerate(names) if owner and owner in (name, _owner(name))]
        names.insert(behind[-1] + 1 if behind else len(names), lane)
    return names


def _owner(lane: str) -> str | None:
    side = _SIDE_TOPIC.fullmatch(lane)
    return side[1] if side else None


def _state(trace: Trace, look: Look) -> dict[str, str]:
    """Say where the journey is. A dead letter is told of even if another branch has come to its end."""
    tries = sum(span.kind == "CONSUMER" and span.error is not None for span in trace.spans)
    failed = f"{tries} {'try' if tries == 1 else 'tries'} failed"
    waiting = [topic_of(span) for span in trace.spans if untaken(trace, span)]
    if dead := next(filter(is_dead_letters, waiting), None):
        redrive = 'A redrive (make dlq DO="redrive --all") continues its journey, in this trace.'
        return _named("dead", "Dead letter", f"{failed}. It is kept in {dead}. {redrive}")
    if retry := next(filter(is_retry, waiting), None):
        return _named("retry", "In retry", f"{failed}. It waits in {retry}; the next try comes by itself.")
    if _arrived(trace, look) if look.chain else not waiting:
        return _named("done", "Done", look.done + (f" {failed} before." if tries else ""))
    return _named("under-way", "Under way", "Its spans are arriving.")


def _arrived(trace: Trace, look: Look) -> bool:
    last = look.chain[-1]
    return any(
        (span.kind, span.name.lower()) == (last.kind, last.name.lower()) and span.error is None for span in trace.spans
    )


def _named(state: str, name: str, says: str) -> dict[str, str]:
    return {"state": state, "name": name, "says": says}
