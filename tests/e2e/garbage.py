"""Records that no service can handle."""

import json

ATTRIBUTES = {
    "ce_specversion": b"1.0",
    "ce_id": b"garbage",
    "ce_source": b"/nowhere",
    "ce_time": b"yesterday",
    "content-type": b"application/json",
}
TYPES = {"orders": b"order.placed.v1", "invoices": b"invoice.issued.v1"}
GROUPS = {"orders": "billing", "invoices": "notifier"}


Records = dict[str, tuple[bytes | None, list[tuple[str, bytes | None]]]]


def garbage(topic: str) -> Records:
    """Return records that are wrong in one way each: value and headers by what is wrong."""
    right = list((ATTRIBUTES | {"ce_type": TYPES[topic]}).items())

    def instead(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
        return [(key, old) for key, old in right if key != name] + [(name, value)]

    return {
        "bytes that are no text": (b"\xff\xfe\x00garbage", right),
        "no JSON": (b"{", right),
        "JSON of the wrong shape": (json.dumps([1, 2, 3]).encode(), right),
        "an object of the wrong shape": (json.dumps({"order_id": 7}).encode(), right),
        "a tombstone": (None, right),
        "no headers": (b"{}", []),
        "no ce_id": (b"{}", [header for header in right if header[0] != "ce_id"]),
        "ce_id that is no text": (b"{}", instead("ce_id", b"\xff")),
        "an unknown ce_type": (b"{}", instead("ce_type", b"order.eaten.v1")),
        "another ce_specversion": (b"{}", instead("ce_specversion", b"0.3")),
        "a header without a value": (b"{}", instead("ce_type", None)),
        "traceparent that is no text": (b"{}", [*right, ("traceparent", b"\xff\xff")]),
        "traceparent that is no traceparent": (b"{}", [*right, ("traceparent", b"00-zz-zz-01")]),
        "baggage that is no text": (b"{}", [*right, ("baggage", b"\xff=\xff")]),
    }


def set_aside(topic: str) -> Records:
    """Return garbage for a retry topic: what should say since when, how often and until when makes no sense either."""
    right = list((ATTRIBUTES | {"ce_type": TYPES[topic]}).items())
    return {
        "due at no time": (b"{", [*right, ("retry.due", b"\xff")]),
        "due in a thousand years": (b"{", [*right, ("retry.due", b"33000000000000")]),
        "tried minus five times": (b"{", [*right, ("retry.attempt", b"-5"), ("retry.due", b"0")]),
        "from no topic": (b"{", [*right, ("retry.original-topic", b"\xff"), ("retry.original-offset", b"x")]),
    }
