"""The reader's terminal, beside a stack that may be on other ports and in another folder than the reader's."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import Settings
from stack.settings import PORTS

from tests.e2e.polling import poll_until
from tests.walkthrough.page import REPOSITORY, Command

COMMAND_TIMEOUT_S = 60
UNTIL_TIMEOUT_S = 60


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    output: str
    exit_code: int


class Shell:
    """Run commands one after another from the root of the repository. What one assigns the next has.

    The commands name the ports and the folder of a stack with default settings; they reach the one of *settings*, and
    what they print reads as if it were the default one.
    """

    def __init__(self, settings: Settings) -> None:
        default = Settings()
        address = "127.0.0.1:{}".format
        self._places = {address(getattr(default, name)): address(getattr(settings, name)) for name in PORTS}
        self._places[".stack/"] = f"{settings.home}/"
        self._environment: Mapping[str, str] = {
            # A make within a make tells which folder it is in.
            **{name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")},
            **{name.upper(): str(getattr(settings, name)) for name in PORTS},
            "STACK_FOLDER": str(settings.home),
            "ZIPKIN_URL": settings.zipkin_url,
            # make gets uv into .stack where it is missing; the environment is the one that this runs in.
            "PATH": f"{os.environ['PATH']}:{REPOSITORY / '.stack/uv/bin'}",
            "UV_NO_SYNC": "1",
            # How wide the page's drawings are, in a terminal of any width.
            "COLUMNS": "100",
        }

    def run(self, command: Command) -> Ran:
        """Run a command and return what it printed; one that is to be repeated, when it has printed that."""
        if command.until is None:
            return self._run(command.text)
        last: list[Ran] = []

        def look() -> bool:
            last[:] = [self._run(command.text)]
            return str(command.until) in last[0].output

        try:
            poll_until(look, f"`{command.text.strip()}` prints {command.until!r}", timeout=UNTIL_TIMEOUT_S, every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}; it printed:\n{last[0].output}") from None
        return last[0]

    def expand(self, text: str) -> str:
        """Return *text* with the variables of the commands so far, as an address of the real stack."""
        return self._run(f'printf %s "{text}"', shown=False).output

    def _run(self, text: str, *, shown: bool = True) -> Ran:
        for default, real in self._places.items():
            text = text.replace(default, real)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "environment"
            done = subprocess.run(
                ["bash", "-eac", f"trap 'env -0 > {kept}' EXIT\n{text}"],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_TIMEOUT_S,
            )
            entries = kept.read_text().split("\0")
        self._environment = dict(entry.split("=", 1) for entry in entries if entry)
        return Ran(self._as_default(done.stdout) if shown else done.stdout, done.returncode)

    def _as_default(self, output: str) -> str:
        for default, real in self._places.items():
            output = output.replace(real, default)
        lines = output.replace("\r", "").strip("\n").split("\n")
        return "".join(f"{line.rstrip()}\n" for line in lines)
