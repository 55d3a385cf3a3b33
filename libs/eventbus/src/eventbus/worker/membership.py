"""Recognises that another living process uses the same INSTANCE_ID."""

import asyncio

# A session lives for 6 s: whatever else goes wrong, a member is not forgotten more often than that.
TAKEN_TIMES = 3
WITHIN_S = 10


class Fenced(Exception):
    """Another living process uses the same INSTANCE_ID: the two take their place in the group from each other."""


class Membership:
    """Count how often the place of this process in its consumer group was taken, over all of its consumers.

    The broker gives a place (a static member) to whoever asks last, under a new member id. Who had it learns that from
    the next heartbeat and asks again, and so on forever.
    """

    def __init__(self) -> None:
        self._taken: list[float] = []

    def taken(self) -> None:
        """Note that a consumer had to join again under another member id."""
        now = asyncio.get_running_loop().time()
        self._taken = [*(then for then in self._taken if now - then < WITHIN_S), now]

    @property
    def fenced(self) -> bool:
        """Tell whether no accident explains it."""
        return len(self._taken) >= TAKEN_TIMES
