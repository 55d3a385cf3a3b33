"""Whatever happens to the runner, at whatever moment: nothing stays behind that `down` does not find."""

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from stack import Settings, processes
from stack.polling import wait_until
from stack.settings import REPOSITORY

Command = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize("moment", ["collector", "mail", "kafka"])
def test_after_kill_9_of_the_runner_while_it_starts_parts_down_finds_all_of_them(
    settings: Settings, command: Command, moment: str
) -> None:
    up = command("up", "kafka", "mail", "collector")
    wait_for_process(settings, moment)
    up.kill()
    up.wait()
    assert processes.find(settings.home)

    down = command("down")

    assert down.wait(30) == 0
    assert processes.find(settings.home) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_starts_parts_the_runner_leaves_nothing(
    settings: Settings, command: Command, number: signal.Signals
) -> None:
    up = command("up", "kafka", "mail", "collector")
    wait_for_process(settings, "kafka")
    up.send_signal(number)

    assert up.wait(30) == 130
    assert processes.find(settings.home) == []


def test_interrupted_while_it_downloads_the_runner_leaves_nothing(
    settings: Settings, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "venv").symlink_to(REPOSITORY / ".stack" / "venv")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = f"http://127.0.0.1:{silent.getsockname()[1]}"
        up = command("up", "kafka", STACK_DOWNLOADS=str(tmp_path / "downloads"), MAVEN_REPOSITORY=mirror)
        wait_for_process(settings, "fetch")
        up.send_signal(signal.SIGINT)

        assert up.wait(30) == 130
    assert processes.find(settings.home) == []


def wait_for_process(settings: Settings, part: str) -> None:
    """Wait until the first process of a part is there, ready or not."""
    wait_until(f"a process of {part}", lambda: None if processes.find(settings.home, part) else "none", timeout=60)
