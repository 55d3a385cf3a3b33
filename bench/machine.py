"""On what it was measured."""

import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil
from stack.settings import REPOSITORY

from bench.candidates.installing import PEERS

OURS = ("aiokafka", "flask", "gunicorn", "opentelemetry-sdk", "psycopg", "pydantic", "sqlalchemy")
PEERS_PINS = {"stock": ("aiohttp",), "faststream": ("faststream", "fastapi", "uvicorn")}


def describe(checkout: Path = REPOSITORY) -> dict[str, str]:
    """Return the machine, the commit and the versions that matter."""
    node = _first_line(["node", "--version"]) if shutil.which("node") else "none"
    return {
        "machine": f"{psutil.cpu_count()} CPUs ({_cpu()}), {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "commit": _first_line(["git", "-C", str(checkout), "describe", "--always", "--dirty"]),
        "Python": platform.python_version(),
        "Kafka": _kafka(),
        "packages": ", ".join(f"{name} {version(name)}" for name in OURS),
        "others": ", ".join([*_pins(), f"node {node}"]),
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _kafka() -> str:
    lock = (REPOSITORY / "deploy" / "local" / "jars.lock").read_text()
    found = re.search(r"kafka-clients[^0-9]*([0-9.]+[0-9])", lock)
    return found[1] if found else "unknown"


def _pins() -> list[str]:
    pins = []
    for peer, names in PEERS_PINS.items():
        lines = (PEERS / peer / "requirements.txt").read_text().splitlines()
        pins += [line.replace("==", " ") for line in lines if line.partition("==")[0].partition("[")[0] in names]
    package = (PEERS / "kafkajs" / "package.json").read_text()
    return pins + [f"{name} {found}" for name, found in re.findall(r'"(express|kafkajs)": "([0-9.]+)"', package)]


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return next(iter(done.stdout.splitlines()), "unknown")
