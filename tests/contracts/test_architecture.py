"""Services know neither each other nor OpenTelemetry, libraries know no service: ruff says so."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ["orders", "billing", "notifier"]
LIBRARIES = sorted(folder.name for folder in (ROOT / "libs").iterdir() if (folder / "pyproject.toml").exists())

FORBIDDEN = [
    *((f"services/{one}/src/{one}", other) for one in SERVICES for other in SERVICES if one != other),
    *((f"services/{one}/src/{one}", "opentelemetry") for one in SERVICES),
    *((f"libs/{library}/src/{library.replace('-', '_')}", service) for library in LIBRARIES for service in SERVICES),
]


def verdict(folder: str, code: str) -> str:
    """What ruff, set up as it is here, says of *code* in a new file of *folder*."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", f"{folder}/x.py", "-"]
    return subprocess.run(command, input=code, cwd=ROOT, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.parametrize(("folder", "module"), FORBIDDEN)
def test_a_forbidden_import_is_reported_however_it_is_written(folder: str, module: str) -> None:
    for code in (
        f"import {module}\n",
        f"import {module}.events\n",
        f"from {module} import events\n",
        f"from {module}.events import Event\n",
        f"def later() -> None:\n    import {module}.events\n",
    ):
        assert "TID251" in verdict(folder, code), code


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_import_itself_and_the_libraries(service: str) -> None:
    code = f"import eventbus\n\nimport {service}.events\n\nprint(eventbus, {service})\n"

    assert "TID251" not in verdict(f"services/{service}/src/{service}", code)


def test_telemetry_is_for_libraries() -> None:
    code = "from opentelemetry import trace\n\nspan = trace.get_current_span()\n"

    assert "TID251" not in verdict("libs/eventbus/src/eventbus", code)
