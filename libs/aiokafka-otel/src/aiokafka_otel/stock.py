"""The stock instrumentation of aiokafka: never both."""

import os
from importlib.metadata import PackageNotFoundError, distribution
from typing import Final

from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISABLED_INSTRUMENTATIONS

DISTRIBUTION: Final = "opentelemetry-instrumentation-aiokafka"
ENTRY_POINT: Final = "aiokafka"

ADVICE: Final = (
    f"{DISTRIBUTION} is installed and not disabled: aiokafka is left to it, and aiokafka-otel does nothing. "
    f"To use aiokafka-otel, uninstall {DISTRIBUTION} or set "
    f"{OTEL_PYTHON_DISABLED_INSTRUMENTATIONS}={ENTRY_POINT}."
)


def stock_is_in_charge() -> bool:
    """Tell whether the stock instrumentation is installed and not disabled, whichever is loaded first."""
    try:
        distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return False
    disabled = os.environ.get(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS, "").split(",")
    return not {ENTRY_POINT, "*"} & {name.strip() for name in disabled}
