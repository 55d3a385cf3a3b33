"""The environments of others, in the folder of downloads: pinned, and made anew when their pins change."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import StackError

from bench.candidates.candidate import LeftOut
from bench.candidates.programs import BENCH

PEERS = BENCH / "peers"


def folder_of(downloads: Path, peer: str) -> Path:
    """Where the environment of a peer is."""
    return downloads / "bench" / peer


def install_python(downloads: Path, peer: str) -> None:
    """Have a virtual environment with the requirements of a peer."""
    folder, pins = folder_of(downloads, peer), PEERS / peer / "requirements.txt"
    if _is_made(folder, pins):
        return
    uv = os.environ.get("UV", "uv")  # `uv run` tells where it is
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "-r", str(pins)])
    shutil.copy(pins, folder)


def install_node(downloads: Path, peer: str) -> None:
    """Have the `node_modules` of a peer."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise LeftOut("this machine has no node and npm")
    folder, pins = folder_of(downloads, peer), PEERS / peer / "package-lock.json"
    if _is_made(folder, pins):
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / peer / "package.json", folder)
    # The lock is a stamp only when all is there: until then npm reads it from another name.
    shutil.copy(pins, folder / "npm-shrinkwrap.json")
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], folder)
    shutil.copy(pins, folder)


def _is_made(folder: Path, pins: Path) -> bool:
    made_of = folder / pins.name
    return made_of.exists() and made_of.read_bytes() == pins.read_bytes()


def _run(command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise StackError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
