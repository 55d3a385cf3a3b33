import subprocess
from collections.abc import Iterator

from stack import logs, processes
from stack.parts import Part
from stack.services import inherited
from stack.settings import Settings

TAIL_LINES = 20


class Children:
    """The processes that this one started: who else started some is known from the process table alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def spawn(self, part: Part) -> None:
        """Start a part's process; OSError where its program is missing."""
        if part.prepare:
            part.prepare()
        log = self._settings.log(part.name)
        self._log_begins[part.name] = logs.begin(log)
        environment = {**inherited(), **part.environment}
        self.exit_code(part.name)  # reaps the one before
        self._children[part.name] = processes.spawn(self._settings.home, part.name, part.command, environment, log)

    def exit_code(self, name: str) -> int | None:
        """Return the exit code of a child that has ended."""
        return child.poll() if (child := self._children.get(name)) else None

    def kill(self, name: str) -> None:
        """SIGKILL every process of a part, also one that another runner started, and wait until none is left."""
        processes.kill_all(self._settings.home, name)
        if child := self._children.get(name):
            child.wait()

    def last_words(self, name: str) -> str:
        """Return the last lines that a part printed since it was started here, and the path of its log."""
        return logs.tail(self._settings.log(name), TAIL_LINES, self._log_begins.get(name, 0))
