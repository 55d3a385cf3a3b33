"""How many finished spans this process has lost: what `eventbus.spans` asks, and the exporter beside it counts.

A package of its own, and no SDK in it: OpenTelemetry loads exporters before it instruments anything.
"""


class Lost:
    """A counter that only grows."""

    def __init__(self) -> None:
        self.spans = 0


lost = Lost()
