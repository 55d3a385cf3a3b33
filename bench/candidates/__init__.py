"""Who is compared: the chain as others build it, as we do, and the steps in between."""

from collections.abc import Sequence
from pathlib import Path

from stack import StackError

from bench.candidates.candidate import Candidate, LeftOut
from bench.candidates.ladder import LADDER
from bench.candidates.others import OTHERS, TUTORIAL
from bench.candidates.own import GROWTH, OURS, OURS_UNTRACED, of_checkout

__all__ = ["GROUPS", "Candidate", "LeftOut", "chosen"]

GROUPS = {"comparison": (*OTHERS, OURS_UNTRACED, OURS), "ladder": LADDER, "growth": GROWTH}
ALL = {each.name: each for each in (TUTORIAL, *LADDER, *GROWTH, *GROUPS["comparison"])}


def chosen(names: Sequence[str], other: Path | None = None) -> list[Candidate]:
    """Return the candidates of these names or groups, or `all`, each once, and those of another checkout."""
    others = of_checkout(other) if other else ()
    known = {**ALL, **{each.name: each for each in others}}
    found: dict[str, None] = {}
    for name in names:
        members = [*ALL] if name == "all" else [each.name for each in GROUPS.get(name, ())]
        found |= dict.fromkeys(members or [name])
    if unknown := found.keys() - known.keys():
        raise StackError(f"no such candidate: {', '.join(unknown)}. There are {', '.join([*GROUPS, *known, 'all'])}")
    return [known[name] for name in found | dict.fromkeys(each.name for each in others)]
