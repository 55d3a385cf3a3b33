import os
import sys
import threading
import time


class Screen:
    """Tells a person how the work goes, one line each with the time since the beginning; safe to use from threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, part: str, text: str) -> None:
        """Print one line; where nobody reads any more (`… | head`), what is to be done is done all the same."""
        with self._lock:
            try:
                print(f"{time.monotonic() - self._began:6.1f} s  {part:<16} {text}", flush=True)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again at its end
