"""A command in the foreground, in the services' environment."""

import os
from collections.abc import Sequence
from typing import NoReturn

from stack.errors import StackError
from stack.services import inherited, instrumented, tool_environment
from stack.settings import Settings


def run(settings: Settings, words: Sequence[str]) -> NoReturn:
    """Become this command: terminal, signals and exit code are its own.

    Raises StackError where there is none, or where the services' Python environment has no such program.
    """
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise StackError("name a command, like `stack run -- eventbus dlq list`")
    # What follows -- is no option of opentelemetry-instrument, whatever it begins with.
    instrument, *rest = instrumented(settings, *words)
    if not os.access(rest[0], os.X_OK):
        raise StackError(f"there is no program {words[0]!r} in {settings.python_env / 'bin'}")
    os.execve(instrument, [instrument, "--", *rest], {**inherited(), **tool_environment(settings)})
