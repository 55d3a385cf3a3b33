"""The order of each key: one of its rows is out at a time, and the next one may go when that is done with."""

from collections import deque
from collections.abc import Iterable

from eventbus.outbox.pending import Row


class Line:
    """Rows in their order, of which those may go that have nothing of their key before them.

    *ready* are those that may go now. What is taken from there keeps the rows behind it back until it is done with.
    """

    def __init__(self) -> None:
        self.ready: deque[Row] = deque()
        # The keys of the rows that may go or are out, and what waits for them.
        self._behind: dict[bytes, deque[Row]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Let *rows* wait behind all others of their keys; one without a key waits for nothing."""
        for row in rows:
            if row.key is None:
                self.ready.append(row)
            elif row.key in self._behind:
                self._behind[row.key].append(row)
            else:
                self._behind[row.key] = deque()
                self.ready.append(row)

    def put_back(self, rows: Iterable[Row]) -> None:
        """Let *rows* that were out go again, before all others."""
        self.ready.extendleft(sorted(rows, key=lambda row: row.id, reverse=True))

    def done(self, row: Row) -> None:
        """Let the next row of the key of *row*, which was out, go."""
        if row.key is None:
            return
        if behind := self._behind[row.key]:
            self.ready.append(behind.popleft())
        else:
            del self._behind[row.key]
