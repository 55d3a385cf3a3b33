import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stack import processes
from stack.errors import StackError

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
        """Run a program to its end, its output in `log`; raise StackError with the last lines where it fails."""
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
