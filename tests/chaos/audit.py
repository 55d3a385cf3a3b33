"""The Collector's audit files, read while they grow: every span that left a process."""

import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from journey import Span, spans_from_otlp

from tests.chaos.findings import Record

REQUEST = '{"resourceSpans"'
KEPT = frozenset(
    {
        "messaging.client.id",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "user_agent.original",
    }
)

Spans = dict[tuple[str, str | None], Span]


class Audit:
    """All spans by their trace. Reports of one span, the same under the same parent, are one: the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[int, int] = {}
        self.traces: dict[str, Spans] = defaultdict(dict)
        self.reports = 0
        self.latest: dict[str, float] = {}
        """When the last span of each process ended, in seconds since the epoch, by `service.instance.id`."""

    def read(self) -> int:
        """Read what was written since the last look; return how many reports there are in all.

        A file keeps its inode when it is put aside for the next one.
        """
        before, self._read = self._read, {}
        for file in self._folder.glob("traces*.jsonl"):
            with contextlib.suppress(FileNotFoundError), file.open("rb") as lines:  # it may be put aside this moment
                inode = os.fstat(lines.fileno()).st_ino
                self._read[inode] = lines.seek(before.get(inode, 0))
                for line in takewhile(lambda line: line.endswith(b"\n"), lines):
                    self._read[inode] += len(line)
                    for request in _requests(line.decode(errors="replace")):
                        for span in spans_from_otlp(request):
                            self.add(span)
        return self.reports

    def add(self, span: Span) -> None:
        """Take a report."""
        self.reports += 1
        process = span.tags.get("service.instance.id", "")
        self.latest[process] = max(self.latest.get(process, 0.0), (span.end or 0) / 1e6)
        lean = replace(span, tags={name: value for name, value in span.tags.items() if name in KEPT})
        self.traces[span.trace_id].setdefault((span.id, span.parent_id), lean)


def _requests(line: str) -> Iterator[Any]:
    """Read the requests of a line: a Collector that was killed leaves one without its line end, or a piece of one."""
    at = line.find(REQUEST)
    while at != -1:
        try:
            request, end = json.JSONDecoder().raw_decode(line, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            yield request
        at = line.find(REQUEST, end)


def record_of(span: Span) -> Record | None:
    """The Kafka record that a span sent or processed; None where it is unknown."""
    try:
        return (
            span.tags["messaging.destination.name"],
            int(span.tags["messaging.destination.partition.id"]),
            int(span.tags["messaging.kafka.offset"]),
        )
    except KeyError:
        return None
