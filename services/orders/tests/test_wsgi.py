"""The web process as gunicorn loads it."""

import subprocess
import sys
from pathlib import Path

CHECK = [
    *(sys.executable, "-m", "gunicorn", "--check-config"),
    *("--config", "python:orders.gunicorn_conf", "orders.wsgi:app"),
]


def test_gunicorn_takes_its_settings_and_the_application(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/orders.db"}
    ended = subprocess.run(CHECK, env=environment, capture_output=True, text=True, timeout=30)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "orders.db").exists()


def test_the_web_process_without_a_database_names_the_variable() -> None:
    ended = subprocess.run(CHECK, env={}, capture_output=True, text=True, timeout=30)

    assert ended.returncode != 0
    assert "DATABASE_URL is missing: " in ended.stderr
