"""What the environment decides."""

import os
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import Final

from opentelemetry.environment_variables import OTEL_METRICS_EXPORTER
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider

PARENT: Final = "AIOKAFKA_OTEL_PARENT"
RECORD_KEY: Final = "AIOKAFKA_OTEL_RECORD_KEY"


class Relation(Enum):
    """How a process span relates to the span that sent the record."""

    PARENT = "parent"
    LINK = "link"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one instrumentation; read once, when it starts."""

    relation: Relation
    record_key: bool

    @classmethod
    def from_environment(cls) -> "Config":
        """Read the settings; a value that means nothing is named in a warning and replaced by the default."""
        return cls(_relation(os.environ.get(PARENT, "")), _record_key(os.environ.get(RECORD_KEY, "")))


def meter_provider() -> MeterProvider | None:
    """Return the one that measures nothing if metrics are not exported; None for the global one.

    The SDK's own makes each measurement even if nobody reads it, which takes a tenth of what a message costs.
    """
    return NoOpMeterProvider() if os.environ.get(OTEL_METRICS_EXPORTER, "").strip().lower() == "none" else None


def _relation(value: str) -> Relation:
    if not value.strip():
        return Relation.BOTH
    try:
        return Relation(value.strip().lower())
    except ValueError:
        _warn(f"{PARENT}={value!r} is not one of parent, link, both; using both")
        return Relation.BOTH


def _record_key(value: str) -> bool:
    flag = value.strip().lower()
    if flag not in ("", "true", "false"):
        _warn(f"{RECORD_KEY}={value!r} is not true or false; message keys are not recorded")
    return flag == "true"


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)
