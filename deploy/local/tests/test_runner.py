"""What a caller of the runner can rely on, with the two parts that start fastest."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from stack import Settings, Stack, StackError, processes


def test_up_twice_and_down_twice_are_as_good_as_once(settings: Settings) -> None:
    stack = Stack(settings)
    stack.up("mail", "collector")
    first = {name: process.pid for name, process in processes.leaders(settings.home).items()}
    stack.up("mail", "collector")
    second = {name: process.pid for name, process in processes.leaders(settings.home).items()}
    stack.down()
    stack.down()

    assert first == second
    assert first.keys() == {"mail", "collector"}
    assert processes.find(settings.home) == []


def test_fetch_has_what_is_needed_and_starts_nothing(settings: Settings) -> None:
    stack = Stack(settings)
    stack.fetch("collector")

    assert (settings.downloads / "collector" / "otelcol").exists()
    assert processes.find(settings.home) == []
    with pytest.raises(StackError, match="nobody"):
        stack.fetch("nobody")


def test_leaving_a_stack_stops_what_it_started_and_nothing_else(settings: Settings) -> None:
    with Stack(settings) as outer:
        outer.up("mail")
        with Stack(settings) as inner:
            inner.up("mail", "collector")

        assert processes.leaders(settings.home).keys() == {"mail"}
    assert processes.find(settings.home) == []


def test_a_part_can_be_stopped_killed_and_started_again(settings: Settings) -> None:
    with Stack(settings) as stack:
        stack.up("collector")

        assert stack.stop("collector") == 0
        assert processes.find(settings.home) == []
        stack.start("collector")
        stack.kill("collector")
        assert processes.find(settings.home) == []
        assert stack.exit_codes() == {"collector": -signal.SIGKILL}
        stack.start("collector")
        assert _state(stack, "collector") == "ready"


def test_what_was_killed_has_given_its_port_back(settings: Settings, tmp_path: Path) -> None:
    # The more memory, the longer a process takes to end; the one that listens is nobody's child here, as in gunicorn.
    listen = (
        "import os, signal, socket; server = socket.create_server(('127.0.0.1', 0)); memory = bytearray(400_000_000);"
        "print(server.getsockname()[1], flush=True); os.fork() and os._exit(0); signal.pause()"
    )
    log = tmp_path / "log"
    processes.spawn(settings.home, "big", [sys.executable, "-c", listen], os.environ, log).wait()
    processes.kill_all(settings.home)

    with socket.socket() as look:
        assert look.connect_ex(("127.0.0.1", int(log.read_text()))) != 0


def test_a_part_that_a_signal_paused_is_not_ready_and_still_stops(settings: Settings) -> None:
    with Stack(settings) as stack:
        stack.up("collector")
        stack.signal("collector", signal.SIGSTOP)

        assert _state(stack, "collector") == "not ready"
        assert stack.stop("collector") == 0


def test_a_part_that_runs_with_other_settings_is_not_taken_for_the_one_that_is_wanted(stack: Stack) -> None:
    faulty = stack.settings.model_copy(update={"environment": {"DEMO_FAULTS": "1"}})
    with pytest.raises(StackError, match=r"orders runs already, with another DEMO_FAULTS: `make down` first"):
        Stack(faulty).up()

    assert _state(stack, "orders") == "ready"


def test_an_unknown_part_is_named_and_the_known_ones_are_listed(settings: Settings) -> None:
    stack = Stack(settings)

    for action in (stack.up, stack.start, stack.stop, stack.kill, stack.log):
        with pytest.raises(StackError, match=r"no part 'bling': the parts are kafka, .*notifier"):
            action("bling")


def test_a_port_in_use_is_named_with_the_part_that_needs_it_and_how_to_change_it(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.smtp_port))
        other.listen()

        with pytest.raises(StackError, match=rf"port {settings.smtp_port}, which mail needs, is in use.*SMTP_PORT"):
            Stack(settings).up("mail", "collector")
    assert processes.find(settings.home) == []


def _state(stack: Stack, name: str) -> str:
    return next(status.state for status in stack.status() if status.part == name)
