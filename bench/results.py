"""What came out of all runs, as JSON and as a page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import machine
from bench.candidates import Candidate
from bench.measuring import Plan, Run
from bench.page import render
from bench.soak import Soak


@dataclass(frozen=True)
class Results:
    """The runs by their candidates, and the command that had them run."""

    command: str
    plan: Plan
    runs: Mapping[str, Sequence[Run]]
    candidates: Sequence[Candidate]
    soaks: Sequence[Soak] = ()

    def write(self, folder: Path) -> str:
        """Write `results.json` and `numbers.md`, and return the latter."""
        told = machine.describe()
        document = {
            "command": self.command,
            "machine": told,
            "plan": asdict(self.plan),
            "runs": [asdict(run) for of_candidate in self.runs.values() for run in of_candidate],
            "soaks": [asdict(each) for each in self.soaks],
        }
        page = render(self.command, self.plan, told, self.runs, self.candidates, self.soaks)
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(document, indent=1))
        (folder / "numbers.md").write_text(page)
        return page
