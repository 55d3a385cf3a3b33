"""What the exporter tells `eventbus.process.spans`: how many spans this process has lost, and when a batch is done.

A package of its own, and no SDK in it: OpenTelemetry loads exporters before it instruments anything.
"""

from collections.abc import Callable


class Lost:
    """A counter that only grows."""

    def __init__(self) -> None:
        self.spans = 0


lost = Lost()

# Called in the exporting thread with the number of spans, after each batch that was exported or lost.
after_export: list[Callable[[int], None]] = []
