from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.settings import REPOSITORY

LOCK = REPOSITORY / "deploy" / "local" / "jars.lock"


@dataclass(frozen=True)
class Jar:
    """One pinned jar: Maven coordinates `group:artifact:version[:classifier]`, and the SHA-256 it must have."""

    coordinates: str
    sha256: str

    @property
    def name(self) -> str:
        _, *rest = self.coordinates.split(":")
        return "-".join(rest) + ".jar"


def pinned(part: str, lock: Path = LOCK) -> Sequence[Jar]:
    """Return the jars of a part as the lock file pins them."""
    lines = (line.split() for line in lock.read_text().splitlines() if not line.startswith("#"))
    return [Jar(coordinates, sha256) for sha256, of, coordinates in lines if of == part]
