"""Which records of a turn are handled at the same time: those of one key never are."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from eventbus.worker.delivery import RecordDelivery

R = TypeVar("R")

Lane = Sequence[RecordDelivery]


class Lanes:
    """Up to *slots* threads, each of which handles the records of some keys, one after the other and in order."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        # Its threads begin with the first work that is more than one lane.
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="lane")

    def each(self, lanes: Sequence[Lane], work: Callable[[Lane], R]) -> list[R]:
        """Return what *work* makes of each lane, when it is done with all of them. Blocks."""
        if len(lanes) == 1:
            return [work(lanes[0])]
        return [each.result() for each in [self._threads.submit(copy_context().run, work, lane) for lane in lanes]]


def deal(deliveries: Iterable[RecordDelivery], slots: int) -> list[Lane]:
    """Deal *deliveries* to at most so many lanes, of which none is empty; a new key goes where the fewest are."""
    lanes: list[list[RecordDelivery]] = [[] for _ in range(slots)]
    of_key: dict[bytes, list[RecordDelivery]] = {}
    for delivery in deliveries:
        key = delivery.record.key
        lane = of_key.get(key) if key else None
        if lane is None:
            lane = min(lanes, key=len)
            if key:
                of_key[key] = lane
        lane.append(delivery)
    return [lane for lane in lanes if lane]
