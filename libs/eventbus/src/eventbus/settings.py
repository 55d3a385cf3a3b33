"""Configuration from the environment, read once."""

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

S = TypeVar("S", bound=BaseSettings)


def read_settings(settings: type[S]) -> S:
    """Return *settings* as the environment has them, frozen.

    Where a variable is missing or wrong, ends the process (exit code 2) with one line for each that names it and says
    what belongs there.
    """
    try:
        return settings()
    except ValidationError as error:
        for each in error.errors():
            name = str(each["loc"][0])
            fault = "is missing" if each["type"] == "missing" else f"is wrong ({each['msg']})"
            expected = settings.model_fields[name].description
            print(f"{name.upper()} {fault}: {expected}", file=sys.stderr)  # noqa: T201 logs are not set up yet
        raise SystemExit(2) from None
