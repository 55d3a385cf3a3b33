import os
import shutil
from pathlib import Path

# Fixed names in the tools' environment, whatever its Python version: see fetch/tools.py.
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


def chosen(variable: str) -> str | None:
    """Return what a person chose by JAVA, GO or POSTGRES; None where the fetched one is to be used."""
    return os.environ.get(variable) or None


def _program(variable: str, downloads: Path) -> Path:
    own = chosen(variable)
    return Path(shutil.which(own) or own) if own else downloads / FETCHED[variable]
