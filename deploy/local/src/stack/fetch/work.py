"""What each step of fetching and building is given: folders, and programs that `stop` ends all at once."""

import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack import processes
from stack.console import Progress, StackError

PART = "fetch"


class Commands:
    """Runs the programs that fetch and build, from several threads; `stop` ends all of them and lets no more begin."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path,
        folder: Path | None = None,
        stdin: str = "",
        each_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Run a program to its end, its output in `log`; raise StackError with the last lines if it fails."""
        log.parent.mkdir(parents=True, exist_ok=True)
        tail: deque[str] = deque(maxlen=15)
        with self._begin(command, environment, folder) as process, log.open("w") as copy:
            assert process.stdin and process.stdout
            process.stdin.write(stdin)
            process.stdin.close()
            for line in process.stdout:
                copy.write(line)
                tail.append(line)
                each_line(line.rstrip())
        if process.returncode:
            raise StackError(f"exit code {process.returncode}:\n{''.join(tail)}The whole log: {log}")

    def check(self) -> None:
        """Raise StackError if there is nothing to be begun any more."""
        if self._stopped:
            raise StackError("interrupted")

    def stop(self) -> None:
        """Kill everything that runs, its children too."""
        with self._lock:
            self._stopped = True
        processes.kill_all(self._home, PART)

    def _begin(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None
    ) -> subprocess.Popen[str]:
        with self._lock:
            self.check()
            return subprocess.Popen(
                command,
                env={**environment, **processes.marks(self._home, PART)},
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )


@dataclass(frozen=True)
class Work:
    """What each step of fetching and building is given: where to, how to run programs, where to tell how it goes."""

    downloads: Path
    commands: Commands
    progress: Progress
    so_far: dict[str, Callable[[], str]] = field(default_factory=dict)
    """How far each part has got, to be asked while it goes on."""

    def say(self, part: str) -> Callable[[str], None]:
        """Return a function that tells about one part."""
        return lambda text: self.progress.say(part, text)

    def log(self, part: str) -> Path:
        return self.downloads / "logs" / f"fetch-{part}.log"

    def new_folder(self, name: str) -> Path:
        """Return an empty folder to work in: what an interrupted attempt left there is gone."""
        folder = self.downloads / f"{name}.new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
