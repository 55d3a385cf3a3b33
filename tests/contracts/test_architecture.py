"""Services know neither each other nor OpenTelemetry, libraries know no service: ruff says so."""

import subprocess
import sys
from pathlib import Path

import pytest
from stack.catalogue import services

ROOT = Path(__file__).parents[2]
SERVICES = [service.name for service in services()]
LIBRARIES = sorted(folder.name for folder in (ROOT / "libs").iterdir() if (folder / "pyproject.toml").exists())

FORBIDDEN = [
    *((f"services/{one}/src/{one}", other) for one in SERVICES for other in SERVICES if one != other),
    *((f"services/{one}/src/{one}", "opentelemetry") for one in SERVICES),
    *((f"libs/{library}/src/{library.replace('-', '_')}", service) for library in LIBRARIES for service in SERVICES),
]


def banned(folder: str, code: str) -> int:
    """Count the lines of *code*, in a new file of *folder*, that ruff as set up here calls forbidden."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--stdin-filename", f"{folder}/x.py", "-"]
    said = subprocess.run(command, input=code, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return said.stdout.count("TID251")


@pytest.mark.parametrize(("folder", "module"), FORBIDDEN)
def test_a_forbidden_import_is_reported_however_it_is_written(folder: str, module: str) -> None:
    ways = [
        f"import {module}",
        f"import {module}.events",
        f"from {module} import events",
        f"from {module}.events import Event",
        f"def later() -> None: import {module}.events",
    ]

    assert banned(folder, "\n".join(ways)) == len(ways)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_import_itself_and_the_libraries(service: str) -> None:
    code = f"import eventbus\n\nimport {service}.events\n\nprint(eventbus, {service})\n"

    assert banned(f"services/{service}/src/{service}", code) == 0


def test_telemetry_is_for_libraries() -> None:
    code = "from opentelemetry import trace\n\nspan = trace.get_current_span()\n"

    assert banned("libs/eventbus/src/eventbus", code) == 0
