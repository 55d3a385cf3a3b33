"""Which traces are new, and which have grown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from journey.trace import Trace

# Seconds without a new span, after which a trace is shown.
SETTLED: Final = 2.0


@dataclass
class _Seen:
    spans: int
    since: float
    shown: int = 0


class Watching:
    """Traces as they come: each is given when nothing has come for two seconds, and again if it grows later.

    What is there at the first look is not new: it is given only when it grows.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] | None = None

    def look(self, traces: Iterable[Trace], now: float) -> Iterator[tuple[Trace, bool]]:
        """Give those of the traces that have settled at `now`, in seconds, and whether each was given before.

        A trace that is not among them any more is forgotten, so that watching for days takes no more memory.
        """
        if self._seen is None:
            self._seen = {trace.id: _Seen(len(trace.spans), now, len(trace.spans)) for trace in traces}
            return
        before, self._seen = self._seen, {}
        for trace in traces:
            count = len(trace.spans)
            seen = self._seen[trace.id] = before.get(trace.id) or _Seen(0, now)
            if count != seen.spans:
                seen.spans, seen.since = count, now
            elif seen.shown < count and now - seen.since >= SETTLED:
                again, seen.shown = seen.shown > 0, count
                yield trace, again
