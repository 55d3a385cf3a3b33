"""The four metrics of the semantic conventions for messaging clients."""

from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.semconv._incubating.metrics import messaging_metrics as messaging

# The boundaries that the conventions ask for; the generated helpers do not pass them on.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Durations are in seconds."""

    sent: Counter
    consumed: Counter
    operation_duration: Histogram
    process_duration: Histogram

    @classmethod
    def of(cls, meter: Meter) -> "Metrics":
        """Make the four instruments."""
        return cls(
            sent=messaging.create_messaging_client_sent_messages(meter),
            consumed=messaging.create_messaging_client_consumed_messages(meter),
            operation_duration=meter.create_histogram(
                messaging.MESSAGING_CLIENT_OPERATION_DURATION,
                unit="s",
                description="Duration of messaging operation initiated by a producer or consumer client.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            process_duration=meter.create_histogram(
                messaging.MESSAGING_PROCESS_DURATION,
                unit="s",
                description="Duration of processing operation.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
        )
