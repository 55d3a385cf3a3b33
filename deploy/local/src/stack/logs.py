from pathlib import Path

# A log that is longer is put aside at the next start: one older log is kept.
MAX_BYTES = 20_000_000


def begin(log: Path) -> int:
    """Make room for another run's output, and return where in the file it begins."""
    log.parent.mkdir(parents=True, exist_ok=True)
    size = log.stat().st_size if log.exists() else 0
    if size <= MAX_BYTES:
        return size
    log.replace(log.with_name(f"{log.name}.1"))
    return 0


def tail(log: Path, lines: int, begin: int = 0) -> str:
    """Return the last lines written since `begin`, and the path of the log."""
    text = ""
    if log.exists():
        with log.open("rb") as file:
            file.seek(begin)
            text = file.read().decode(errors="replace")
    return "\n".join([*(f"    {line}" for line in text.splitlines()[-lines:]), f"The whole log: {log}"])
