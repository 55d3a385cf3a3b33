"""A service that does not start, and one that does not end."""

import signal
from pathlib import Path

import pytest
from stack import Settings, Stack, StackError, children, processes


def test_a_part_that_ends_at_once_is_named_with_its_exit_code_its_last_words_and_its_log(
    settings: Settings, tmp_path: Path
) -> None:
    settings = _with_service(settings, tmp_path, "echo 'the database is on fire'; exit 3")

    with pytest.raises(StackError) as failure:
        Stack(settings).up("mail", "orders")
    assert str(failure.value).splitlines() == [
        "orders ended with exit code 3 before it was ready",
        "    the database is on fire",
        f"The whole log: {settings.logs / 'orders.log'}",
    ]
    assert processes.find(settings.home) == []


def test_a_failed_start_leaves_what_was_running_before_alone(settings: Settings, tmp_path: Path) -> None:
    settings = _with_service(settings, tmp_path, "exit 3")
    with Stack(settings) as stack:
        stack.up("mail")
        with pytest.raises(StackError):
            stack.up()

        assert [status.part for status in stack.status() if status.state == "ready"] == ["mail"]


def test_a_program_that_is_missing_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"orders cannot be started: .*opentelemetry-instrument"):
        Stack(settings.model_copy(update={"python_env": tmp_path})).up("orders")


def test_a_part_that_ignores_sigterm_is_killed_with_its_children_and_that_is_said(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(children, "STOP_SECONDS", 0.3)
    ready = f"echo '{{\"ready\": true}}' > {settings.home}/status/billing.json"
    settings = _with_service(settings, tmp_path, f"trap '' TERM; {ready}; sleep 600 & wait; sleep 600")
    with Stack(settings) as stack:
        stack.up("billing")

        assert stack.stop("billing") == -signal.SIGKILL
        assert "billing          did not end within 0 s of SIGTERM and was killed" in capsys.readouterr().out
        assert processes.find(settings.home) == []


def _with_service(settings: Settings, folder: Path, script: str) -> Settings:
    """Settings with a Python environment in which every service is this shell script."""
    program = folder / "bin" / "opentelemetry-instrument"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return settings.model_copy(update={"python_env": folder})
