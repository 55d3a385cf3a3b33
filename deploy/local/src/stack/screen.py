import threading
import time


class Screen:
    """Tells a person how the work goes, one line each with the time since the beginning; safe to use from threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, part: str, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(f"{time.monotonic() - self._began:6.1f} s  {part:<16} {text}", flush=True)
