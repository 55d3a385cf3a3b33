"""The services of this repository. Each one says in its pyproject.toml, in `[tool.stack]`, what it is for the stack."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.console import StackError
from stack.settings import REPOSITORY


class Web(BaseModel):
    """The process of a service that answers HTTP.

    `port` is the name of a setting, `ready` the path that answers 200 if the process is ready. The words of `command`
    and the values of `environment` may hold `{settings.…}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...]
    port: str
    ready: str
    environment: Mapping[str, str] = {}


class Service(BaseModel):
    """What a service is for the stack.

    `reads` and `writes` are types of events. `worker` names the part that works on them: as a rule it has the service's
    own name. `environment` has what the worker needs besides the variables of every worker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    worker: str
    environment: Mapping[str, str] = {}
    web: Web | None = None


@cache
def services(repository: Path = REPOSITORY) -> Sequence[Service]:
    """Return the services in the order in which an event passes them: who writes it comes before who reads it.

    Raises StackError that names the file in which something is wrong.
    """
    left = {file: _read(file) for file in sorted(repository.glob("services/*/pyproject.toml"))}
    found: list[Service] = []
    while left:
        unwritten = {event for service in left.values() for event in service.writes}
        # In a circle of services the first by name comes first.
        file = next((file for file, service in left.items() if not unwritten & set(service.reads)), next(iter(left)))
        found.append(left.pop(file))
    return found


def _read(file: Path) -> Service:
    content: dict[str, Any] = tomllib.loads(file.read_text())
    name = content["project"]["name"]
    try:
        return Service(**{"name": name, "worker": name, **content["tool"]["stack"]})
    except KeyError:
        raise StackError(f"{file} has no table [tool.stack]") from None
    except ValidationError as error:
        raise StackError(f"{file}, table [tool.stack]: {error}") from None
