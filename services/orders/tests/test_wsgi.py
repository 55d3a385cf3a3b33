"""The web process as gunicorn loads it."""

import json
import subprocess
import sys
from pathlib import Path

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:orders.gunicorn_conf", "-b", "127.0.0.1:0"]


def test_gunicorn_takes_its_settings_and_the_application(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/orders.db"}
    check = [*GUNICORN, "--check-config", "orders.wsgi:app"]
    first, second = (subprocess.run(check, env=environment, capture_output=True, text=True, timeout=60) for _ in "12")

    assert (first.returncode, second.returncode) == (0, 0)
    assert [json.loads(line)["message"] for line in first.stderr.splitlines()] == ["the database was migrated"]
    assert second.stderr == ""
    assert (tmp_path / "orders.db").exists()


def test_the_web_process_without_a_database_names_the_variable_and_ends_with_2() -> None:
    ended = subprocess.run([*GUNICORN, "orders.wsgi:app"], env={}, capture_output=True, text=True, timeout=60)

    plain = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert ended.returncode == 2
    assert [line.split(":")[0] for line in plain] == ["DATABASE_URL is missing"]
    assert "Booting worker" not in ended.stderr
