"""What a run has shown: for people on the screen, for programs as JSON."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.findings import KINDS, Fault, Finding
from tests.chaos.recovery import Recovery

SHOWN = 5


@dataclass(frozen=True)
class Report:
    """One run: what was done, what was asked and answered, what was found."""

    seed: int
    seconds: float
    faults: Sequence[Fault]
    answers: Mapping[str, int]
    orders: int
    spans: int
    traces: int
    sampled: int
    apart: Mapping[str, int]
    recoveries: Sequence[Recovery]
    findings: Sequence[Finding]
    rate: float = 0
    left_out: Sequence[str] = ()
    latest: float = 0
    """Seconds by which the load itself was late, at worst."""

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1, default=_plain))

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s, {len(self.faults)} faults",
            f"requests at {self.rate:g}/s: {_counts(self.answers)}; sent {self.latest * 1000:.0f} ms late at worst",
            f"{self.orders} orders, {self.traces} traces, {self.spans} spans; {self.sampled} seen in Zipkin",
            f"explained by faults: {_counts(self.apart)}",
            *([f"no time for: {', '.join(self.left_out)}"] if self.left_out else []),
            "",
            *_table(self.recoveries),
            "",
            *self._found(),
        ]
        return "\n".join(lines)

    def _found(self) -> list[str]:
        if not self.findings:
            return ["found: nothing"]
        kinds = Counter(finding.kind for finding in self.findings)
        lines = []
        for kind in [kind for kind in KINDS if kind in kinds]:
            lines.append(f"{kind}: {kinds[kind]} ({KINDS[kind]})")
            each = [finding for finding in self.findings if finding.kind == kind]
            lines += [f"  {finding.subject}: {finding.detail}" for finding in each[:SHOWN]]
        return lines


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"


def _table(recoveries: Sequence[Recovery]) -> list[str]:
    """For each fault and part the times of recovery: the median and the worst."""
    groups: dict[tuple[str, str], list[Recovery]] = defaultdict(list)
    for each in recoveries:
        groups[each.fault, each.target].append(each)
    rows = [
        (f"{fault} {target}", f"{len(group)}", _spread([r.start for r in group]), _spread([r.first for r in group]))
        for (fault, target), group in sorted(groups.items())
    ]
    head = ("recovery", "times", "until ready, s", "then until the first record, s")
    return [f"{a:<24} {b:>5}  {c:<16} {d}" for a, b, c, d in [head, *rows]]


def _spread(values: Sequence[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    return f"{known[len(known) // 2]:.1f}, worst {known[-1]:.1f}" if known else "-"


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
