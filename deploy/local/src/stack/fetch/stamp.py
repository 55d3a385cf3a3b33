"""A stamp says what a folder was made from and what it holds. It is written last: without it nothing counts."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.console import StackError

NAME = "stamp.json"


@dataclass(frozen=True)
class Stamp:
    """What a folder was made from, and the SHA-256 of each file that must be in it, by path."""

    made_from: str
    files: dict[str, str]


def of_folder(folder: Path, made_from: str) -> Stamp:
    """Make the stamp of a folder as it is now."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != NAME)
    return Stamp(made_from, {p.relative_to(folder).as_posix(): sha256(p) for p in files})


def finish(work: Path, stamp: Stamp, folder: Path) -> None:
    """Put finished work in its place: stamped, then renamed whole."""
    write(work, stamp)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def write(folder: Path, stamp: Stamp) -> None:
    (folder / NAME).write_text(json.dumps(asdict(stamp), indent=1))


def read(folder: Path) -> Stamp | None:
    """Return the folder's stamp; None if there is none that can be read, so that the work is done anew."""
    try:
        return Stamp(**json.loads((folder / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def verify(folder: Path, stamp: Stamp) -> None:
    """Raise StackError naming the first file of the stamp that is not, byte for byte, what was stamped."""
    for path, expected in stamp.files.items():
        file = folder / path
        found = sha256(file) if file.is_file() else "missing"
        if found != expected:
            raise StackError(
                f"{file} is damaged: its SHA-256 is {found}, it must be {expected}.\n"
                f"Nothing of it was run. Delete the folder {folder} and start again to make it anew."
            )


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
