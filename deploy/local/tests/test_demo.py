"""What a newcomer sees: one command, one order, its journey."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import journey
import pytest
from stack import Settings, Stack, demo, processes
from stack.parts import table

Command = Callable[..., subprocess.Popen[str]]


def test_demo_draws_the_journey_of_one_order_and_stops_everything_at_ctrl_c(
    settings: Settings, command: Command
) -> None:
    running = command("demo")
    shown = _read_until(running, "Ctrl-C")
    status = json.loads(command("status", "--json").communicate()[0])
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=60)

    assert {part["part"]: part["state"] for part in status} == dict.fromkeys(PARTS, "ready")
    assert "6 spans, 3 services" in shown
    assert Path(_after("the e-mail", shown)).exists()
    assert _after("the page", shown).startswith(f"{settings.orders_url}/journeys/")
    assert _after("the trace", shown).startswith(f"{settings.zipkin_url}/zipkin/traces/")
    assert running.returncode == 0, rest
    assert processes.find(settings.home) == []


def test_demo_beside_a_running_system_leaves_it_running_and_says_how_to_stop_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stack(stack.settings) as another:
        demo.run(another)
    shown = capsys.readouterr().out

    assert "6 spans, 3 services" in shown
    assert shown.splitlines()[-1] == "It was running already: `make down` stops it."
    assert {part.state for part in stack.status()} == {"ready"}


def test_a_journey_with_a_span_too_many_is_a_warning_that_names_the_file_of_the_declared_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = journey.read_chain(demo.CHAIN)
    monkeypatch.setattr(journey, "read_chain", lambda _: declared[:-1])
    monkeypatch.setattr(demo, "SETTLED_SECONDS", 1.0)
    with Stack(stack.settings) as another:
        demo.run(another)
    shown, warning = capsys.readouterr()

    assert "`send email`" in warning
    assert f"is the table in {demo.CHAIN.name}" in warning
    assert Path(_after("the e-mail", shown)).exists()
    assert shown.splitlines()[-1] == "It was running already: `make down` stops it."


def test_a_reader_that_has_enough_of_the_status_is_no_error(command: Command) -> None:
    status = command("status")
    assert status.stdout
    status.stdout.close()

    assert status.wait(timeout=60) == -signal.SIGPIPE


PARTS = table(Settings())


def _read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what the process has printed up to the line with these words, or to its end."""
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(words):
            break
    return "".join(lines)


def _after(label: str, shown: str) -> str:
    return next(line.split(label)[1].strip() for line in shown.splitlines() if label in line)
