"""What a service does when it is started as ``python -m <service>``: it works, or migrates its database."""

import logging
import sys
from collections.abc import Callable

from eventbus.database.schema import Schema
from eventbus.settings import DatabaseSettings, read_settings

log = logging.getLogger(__name__)


def command(work: Callable[[], None], schema: Schema) -> None:
    """Do *work*; or, with the argument ``migrate``, bring the database up to date and return.

    Other arguments end the process (exit code 2) with a line that says what there is. ``migrate`` needs DATABASE_URL
    alone, and MIGRATE does not matter to it: it is for those who migrate by a job of their own.
    """
    match sys.argv[1:]:
        case []:
            work()
        case ["migrate"]:
            settings = read_settings(DatabaseSettings).model_copy(update={"migrate": "yes"})
            settings.open_database(schema).close()
            log.info("the database is up to date")
        case _:
            print("no argument: work until SIGTERM; migrate: bring the database up to date", file=sys.stderr)  # noqa: T201
            raise SystemExit(2)
