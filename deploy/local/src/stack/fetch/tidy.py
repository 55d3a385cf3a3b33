import os
import shutil
import threading
from pathlib import Path


def put_aside(caches: Path) -> None:
    """Give up Go's caches of 2.8 GB, unless KEEP_GO_CACHE is set: renamed now, for `begin` to delete."""
    if caches.exists() and not os.environ.get("KEEP_GO_CACHE"):
        caches.rename(caches.with_name(f"{caches.name}.old.{os.getpid()}"))


def begin(downloads: Path) -> threading.Thread:
    """Start deleting what was put aside, beside the start of the system: it is 50,000 files.

    A thread that ends with its process: what is left then is deleted the next time.
    """
    thread = threading.Thread(target=_delete, args=[downloads], daemon=True)
    thread.start()
    return thread


def _delete(downloads: Path) -> None:
    for folder in downloads.glob("go.old.*"):
        shutil.rmtree(folder, ignore_errors=True)
