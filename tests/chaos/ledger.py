"""What was asked of the system and what it answered: what must have happened, what must not, what may."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What an answer promises."""

    MUST = "accepted"  # 202
    MUST_NOT = "refused"  # 4xx
    MAY = "unknown"  # no answer, or one that tells nothing: 0 or 1 times


@dataclass(frozen=True)
class Entry:
    """One request. Times are seconds since the epoch.

    Its number is in the order's e-mail address and in its user agent, so that what became of it is found even where
    nothing was answered.
    """

    number: int
    intended: float
    sent: float
    answered: float
    verdict: Verdict
    answer: str
    trace_id: str | None = None
    caller: str | None = None
    """The caller's span, where the request had a `traceparent`."""
    order_id: str | None = None

    @property
    def late(self) -> float:
        """By how many seconds it was sent too late: the load itself had no processor."""
        return self.sent - self.intended


class Ledger:
    """All requests so far."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries[entry.number] = entry

    def by_number(self) -> dict[int, Entry]:
        with self._lock:
            return dict(self._entries)

    def answers(self, began: float = 0, ended: float = float("inf")) -> dict[str, int]:
        """Count the answers to what was sent within a period."""
        return dict(Counter(entry.answer for entry in self if began <= entry.sent <= ended))


def email(number: int) -> str:
    """The address of the customer of request *number*."""
    return f"order-{number}@chaos.example"


def number_of(address: str) -> int | None:
    """The request that an address belongs to; None where it is none of ours."""
    name, _, domain = address.partition("@")
    number = name.removeprefix("order-")
    return int(number) if domain == "chaos.example" and number.isdigit() else None


def agent(number: int) -> str:
    """The user agent of request *number*: it is on the SERVER span."""
    return f"chaos/{number}"
