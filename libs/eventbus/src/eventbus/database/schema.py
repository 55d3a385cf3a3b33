"""The schema of a database and its revisions: at the start of a process it is brought up to date, or checked."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text

from eventbus.database import tables

log = logging.getLogger(__name__)

_ALEMBIC = Path(__file__).with_name("migrations")
# Any number that nobody else takes for a lock of the whole database.
_MIGRATING = 4_735_811
_VERSIONS = "alembic_version"


class SchemaError(Exception):
    """The database is not what this program needs; the text says what to do."""


@dataclass(frozen=True)
class Schema:
    """The tables of a service, and the folder of its Alembic revisions.

    The revisions are one behind the other. Each is in a file of its name, and the names are in that order:
    ``billing_0001.py``, ``billing_0002.py``.
    """

    metadata: MetaData
    revisions: Path

    @property
    def names(self) -> list[str]:
        """The names of all revisions, the oldest first."""
        return sorted(each.stem for each in self.revisions.glob("*_[0-9]*.py"))


OWN = Schema(tables.metadata, _ALEMBIC / "versions")


def upgrade(connection: Connection, schemas: Sequence[Schema], *, only_check: bool = False) -> list[str]:
    """Bring the database up to date with the bus's own schema and these, and return the revisions that it then has.

    All in the transaction of *connection*, which is the only one that does so, whoever else begins at the same time.
    Raises SchemaError if the database is newer, if a table lacks a column, or if something is left to do and this is
    to *only_check*.
    """
    if connection.dialect.name == "postgresql":  # on SQLite the transaction itself is the lock
        connection.execute(text("SELECT pg_advisory_xact_lock(:migrating)"), {"migrating": _MIGRATING})
    schemas = [OWN, *schemas]
    present, wanted = _present(connection), {each.names[-1] for each in schemas}
    if newer := present - {name for each in schemas for name in each.names}:
        raise SchemaError(
            f"the database is newer than this program, which does not know {', '.join(sorted(newer))}:"
            " start the newer program again"
        )
    if present != wanted:
        if only_check:
            raise SchemaError(
                f"the database lacks {', '.join(sorted(wanted - present))}, and MIGRATE=no: migrate it first,"
                " like python -m SERVICE migrate"
            )
        _migrate(connection, schemas)
        log.info("the database was migrated", extra={"revisions": sorted(wanted - present)})
    for each in schemas:
        _check_columns(connection, each.metadata)
    return sorted(wanted)


def _present(connection: Connection) -> set[str]:
    if not inspect(connection).has_table(_VERSIONS):
        return set()
    return set(connection.scalars(text(f"SELECT version_num FROM {_VERSIONS}")))


def _migrate(connection: Connection, schemas: Sequence[Schema]) -> None:
    # It says what it sets up for itself; what becomes of the database is said below.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # half a second of work, which few starts need
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_ALEMBIC))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(each.revisions) for each in schemas))
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")


def _check_columns(connection: Connection, metadata: MetaData) -> None:
    there = inspect(connection).get_multi_columns()
    for table in metadata.sorted_tables:
        columns = {column["name"] for column in there.get((None, table.name), ())}
        for column in table.columns:
            if column.name not in columns:
                raise SchemaError(f"the table {table.name} has no column {column.name}: add it first")
