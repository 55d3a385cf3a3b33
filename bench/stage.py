"""Where candidates run, one at a time: one broker for all of them, the rest new for each."""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from stack import Settings, Stack, StackError, fetch
from stack.console import Progress
from stack.parts import Part, every
from stack.polling import wait_until

from bench import load, topics, usage
from bench.candidates import Candidate
from bench.candidates.programs import BENCH, done_file
from bench.load import Load, Posted

# Nothing has arrived for so long: what is missing is lost.
SILENT_S = 15.0
QUIET_S = 1.2
QUIET_WITHIN_S = 30.0


class _Silent(Progress):
    def say(self, part: str, text: str) -> None:
        pass


@dataclass
class Running:
    """A candidate that runs, and everything that was posted to it."""

    settings: Settings
    services: list[str]
    began: int
    load: Load
    posted: list[Posted] = field(default_factory=list)

    def post(self, how: Callable[[Load, str], list[Posted]]) -> list[Posted]:
        """Post orders, and wait until they are at their end, or silence says that some are lost."""
        orders = how(self.load, f"o{len(self.posted)}")
        self.posted += orders
        self._wait_for(sum(order.accepted for order in self.posted))
        return orders

    def ends(self) -> Mapping[str, list[int]]:
        """When each order was at its end, by the id it was posted with, in nanoseconds since the epoch."""
        found: dict[str, list[int]] = defaultdict(list)
        file = done_file(self.settings)
        for line in file.read_text().splitlines() if file.exists() else ():
            order, at = line.split()
            found[order].append(int(at))
        return found

    def arrived(self) -> int:
        """How often an order was at its end."""
        file = done_file(self.settings)
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def look(self) -> usage.Usage:
        """Return what is used, once no more spans come: what exports them is part of an order's cost."""
        self._settle()
        return usage.look(self.settings.home)

    def _wait_for(self, count: int) -> None:
        progress = _Progress(self.arrived)

        def objection() -> str | None:
            if progress.still_for() > SILENT_S or self.arrived() >= count:
                return None
            return "orders are on their way"

        wait_until("the end of the chain", objection, load.LONGEST_S)

    def _settle(self) -> None:
        progress = _Progress(lambda: sum(map(_size, self.settings.audit_folder.glob("*.jsonl"))))
        try:
            wait_until("spans", lambda: None if progress.still_for() > QUIET_S else "still coming", QUIET_WITHIN_S)
        except StackError:  # a service that never rests is measured as it is
            pass


class _Progress:
    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._last = look()
        self._since = time.monotonic()

    def still_for(self) -> float:
        """Seconds since the last change."""
        if (now := self._look()) != self._last:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since


class Stage:
    """A broker and a load generator; at the end of the `with` nothing is left running."""

    def __init__(self, folder: Path, downloads: Path | None = None) -> None:
        self._settings = Settings.isolated(folder, **({"downloads": downloads} if downloads else {}))
        self._stack = Stack(self._settings)

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            begun.enter_context(self._stack)
            fetch.ensure(self._settings, ["kafka", "collector"], Progress())
            self._stack.up("kafka")
            self._load = Load(load.build(self._settings.downloads), self._settings.orders_port)
            self._begun = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._begun.__exit__(kind, error, traceback)

    @contextmanager
    def running(self, candidate: Candidate) -> Iterator[Running]:
        """Run a candidate on new topics, with empty databases and a Collector of its own."""
        settings = candidate.settings(self._settings)
        self._clear(settings)
        topics.renew(settings.kafka)
        parts = {part.name: part for part in [_collector(settings), *candidate.parts(settings)]}
        with Stack(settings, _Silent(), parts) as stack:
            stack.up("collector")
            began = time.time_ns()
            stack.up(*parts)
            services = [part.name for part in parts.values() if part.service]
            yield Running(settings, services, began, self._load)

    def _clear(self, settings: Settings) -> None:
        done_file(settings).unlink(missing_ok=True)
        settings.data.mkdir(parents=True, exist_ok=True)
        for left in settings.data.iterdir():
            if left.name != "kafka":
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _collector(settings: Settings) -> Part:
    part = every(settings)["collector"]
    return replace(part, command=[*part.command[:-1], str(BENCH / "collector.yaml")])


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
