"""How one system's page differs from another's."""

from collections.abc import Sequence
from dataclasses import dataclass

from journey.chain import Row


@dataclass(frozen=True)
class Look:
    """What a page knows of its system beyond the spans.

    `chain` is the declared journey, whose lanes are drawn from the start; `done` is said of one that has come to the
    chain's last row. `form` is a template of the host for what people can start, `scripts` are its modules.
    """

    title: str = "Journeys"
    subtitle: str = "What happened to a message on its way through Kafka and the services, from its spans in Zipkin."
    chain: Sequence[Row] = ()
    done: str = "Every message was read."
    form: str | None = None
    scripts: Sequence[str] = ()

    @property
    def lanes(self) -> list[str]:
        """The lanes of the declared journey, in its order."""
        lanes: dict[str, None] = {}
        for row in self.chain:
            lanes["mail" if row.kind == "CLIENT" else row.service] = None
            if row.kind == "PRODUCER":
                lanes[f"kafka/{row.name.partition(' ')[2]}"] = None
        return list(lanes)
