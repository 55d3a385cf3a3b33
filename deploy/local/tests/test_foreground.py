"""A command of a person's, in the services' environment."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from stack import Settings
from stack.polling import wait_until

Command = Callable[..., subprocess.Popen[str]]
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)])); sys.exit(7)"


@pytest.mark.parametrize("dashes", [["--"], []])
def test_it_has_the_broker_and_the_telemetry_of_the_services_and_its_own_exit_code(
    settings: Settings, command: Command, dashes: list[str]
) -> None:
    running = command("run", *dashes, "python", "-c", TELL, "--log", "a b", OTEL_SERVICE_NAME="the shell's")
    arguments, environment = json.loads(running.communicate(timeout=60)[0])

    assert running.returncode == 7
    assert arguments == ["--log", "a b"]
    assert environment["OTEL_SERVICE_NAME"] == "redrive"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{settings.otlp_http_port}"
    assert environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == settings.kafka
    assert "DATABASE_URL" not in environment


def test_it_is_instrumented(command: Command) -> None:
    look = "import aiokafka; print(hasattr(aiokafka.AIOKafkaProducer.send, '__wrapped__'))"

    assert command("run", "--", "python", "-c", look).communicate(timeout=60)[0] == "True\n"


def test_it_has_the_terminal_and_hears_its_signals() -> None:
    main, terminal = pty.openpty()
    wait = "import sys, time; print(sys.stdin.isatty(), sys.stdout.isatty(), flush=True); time.sleep(60)"
    running = subprocess.Popen(
        [sys.executable, "-m", "stack", "run", "--", "python", "-c", wait], stdin=terminal, stdout=terminal
    )
    try:
        shown = bytearray()

        def objection() -> str | None:
            shown.extend(os.read(main, 100))
            return None if shown.endswith(b"\n") else f"{shown!r}"

        wait_until("a line of the command", objection, timeout=60)
        running.send_signal(signal.SIGINT)

        assert bytes(shown) == b"True True\r\n"
        assert running.wait(30) in (-signal.SIGINT, 130)
    finally:
        running.kill()
        running.wait()
        os.close(main)
        os.close(terminal)


@pytest.mark.parametrize(
    ("words", "message"), [(["nope"], "there is no program 'nope' in "), ([], "name a command, like `stack run -- ")]
)
def test_what_is_no_program_is_named(command: Command, words: list[str], message: str) -> None:
    running = command("run", *words)
    shown, _ = running.communicate(timeout=60)

    assert (running.returncode, shown.startswith(f"stack: {message}")) == (1, True)
