"""What a newcomer sees: one command, one order, its journey."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from stack import Settings, processes

Command = Callable[..., subprocess.Popen[str]]


def test_demo_draws_the_journey_of_one_order_and_stops_everything_at_ctrl_c(
    settings: Settings, command: Command
) -> None:
    demo = command("demo")
    shown = _read_until(demo, "Ctrl-C")
    status = json.loads(command("status", "--json").communicate()[0])
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)

    assert {part["part"]: part["state"] for part in status} == dict.fromkeys(PARTS, "ready")
    assert "6 spans, 3 services" in shown
    assert Path(_after("the e-mail", shown)).exists()
    assert _after("the trace", shown).startswith(f"{settings.zipkin_url}/zipkin/traces/")
    assert demo.returncode == 0, rest
    assert processes.find(settings.home) == []


PARTS = ["kafka", "zipkin", "collector", "mail", "orders", "orders-worker", "billing", "notifier"]


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
