"""What a service's process is made of."""

import subprocess
from pathlib import Path

import pytest
from stack import Settings
from stack.parts import table

WORKERS = ("orders-worker", "billing", "notifier")
# grpcio comes along with the OTLP exporters; importing it takes longer than a service's own start.
UNUSED = [("orders", "grpc"), *((w, "grpc") for w in WORKERS), *((w, "flask") for w in WORKERS)]


@pytest.mark.parametrize(("part", "module"), UNUSED)
def test_a_process_loads_only_what_it_uses(part: str, module: str, tmp_path: Path) -> None:
    started = table(Settings.isolated(tmp_path))[part]
    instrument = started.command[0]
    python = str(Path(instrument).with_name("python"))
    look = f"import sys; print({module!r} in sys.modules)"

    seen = subprocess.run(
        [instrument, python, "-c", look], env=dict(started.environment), capture_output=True, text=True, check=True
    )

    assert seen.stdout.strip() == "False", seen.stderr
