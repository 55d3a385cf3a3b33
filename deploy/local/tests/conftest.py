import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import Settings, processes
from stack.settings import PORTS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a stack of its own; whatever the test leaves of it is killed."""
    settings = Settings.isolated(tmp_path / "home")
    yield settings
    processes.kill_all(settings.home)


@pytest.fixture
def command(settings: Settings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the runner as a person does, on the test's own stack."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        ports = {name.upper(): str(getattr(settings, name)) for name in PORTS}
        process = subprocess.Popen(
            [sys.executable, "-m", "stack", *arguments],
            env={**os.environ, "STACK_FOLDER": str(settings.home), **ports, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
