"""Runs entries on a real stack and says whether each still breaks, and is whole, the way it says."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from stack import Settings

from gallery.drawing import drawn
from gallery.entry import Entry
from gallery.environments import environments
from gallery.scripts import EntryFailed, Execution, run_scripts
from gallery.traces import traces_of

PARTS = ("kafka", "zipkin", "collector")


def compare(
    entries: Sequence[Entry], settings: Settings, folder: Path, say: Callable[[str], object] = lambda _: None
) -> None:
    """Run each entry in both ways and compare what Zipkin has with what the entry declares.

    EntryFailed names every entry that differs, and how.
    """
    executions = [Execution(entry, run) for entry in entries for run in (entry.broken, entry.whole)]
    run_scripts(executions, settings, environments(), folder)
    traces = traces_of(executions, settings)
    wrong = []
    for each in executions:
        try:
            found = drawn(each.run.choose(traces[each.mark]), each.mark)
        except AssertionError as error:
            wrong.append(f"{each}: {error}")
            continue
        say(f"{each}\n\n{found}\n")
        if found != each.run.tree.strip():
            wrong.append(f"{each} is not what it says:\n{_difference(each.run.tree.strip(), found)}")
    if wrong:
        raise EntryFailed("\n\n".join(wrong))


def _difference(declared: str, found: str) -> str:
    lines = difflib.unified_diff(declared.splitlines(), found.splitlines(), "declared", "in Zipkin", lineterm="", n=99)
    return "\n".join(lines)
