import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stack.fetch.commands import Commands
from stack.console import Screen


@dataclass(frozen=True)
class Work:
    """What each step of fetching and building is given: where to, how to run programs, where to tell how it goes."""

    downloads: Path
    commands: Commands
    screen: Screen
    progress: dict[str, Callable[[], str]] = field(default_factory=dict)
    """How far each part has got, to be asked while it goes on."""

    def say(self, part: str) -> Callable[[str], None]:
        """Return a function that tells about one part."""
        return lambda text: self.screen.say(part, text)

    def log(self, part: str) -> Path:
        return self.downloads / "logs" / f"fetch-{part}.log"

    def new_folder(self, name: str) -> Path:
        """Return an empty folder to work in: what an interrupted attempt left there is gone."""
        folder = self.downloads / f"{name}.new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
