"""Which faults happen when: drawn from a seed, one after the other."""

import time
from collections.abc import Sequence

from tests.chaos.faults import FAULTS, KILLS, NEEDS_A_SERVER
from tests.chaos.scene import Scene

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 3.0
# What is drawn again while there is time left.
CHEAP_S = 6


def names(faults: str, database: str) -> list[str]:
    """Return the faults that are meant: all that this database can meet, kills, or names with commas between them."""
    possible = [name for name in FAULTS if database == "postgresql" or name not in NEEDS_A_SERVER]
    if faults in ("all", "kills"):
        return possible if faults == "all" else list(KILLS)
    unknown = [name for name in faults.split(",") if name not in possible]
    if unknown:
        raise SystemExit(f"there is no fault {', '.join(unknown)}: there are all, kills, {', '.join(possible)}")
    return faults.split(",")


def conduct(scene: Scene, wanted: Sequence[str], *, times: int = 1, seconds: float = 0) -> list[str]:
    """Let every wanted fault happen so many times in random order, then cheap ones again until the time is over.

    Returns those for which there was no time: they would not have ended within the *seconds*; 0 is no limit.
    """
    began = time.monotonic()
    drawn = scene.random.sample([*wanted] * times, len(wanted) * times)
    left_out = []
    for name in drawn:
        if seconds and time.monotonic() - began + FAULTS[name].seconds > seconds:
            left_out.append(name)
        else:
            _happen(scene, name)
    cheap = [name for name in wanted if FAULTS[name].seconds <= CHEAP_S]
    while cheap and seconds and time.monotonic() - began + CHEAP_S < seconds:
        _happen(scene, scene.random.choice(cheap))
    return left_out


def _happen(scene: Scene, name: str) -> None:
    time.sleep(scene.random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))
    FAULTS[name].do(scene)
    scene.audit.read()
