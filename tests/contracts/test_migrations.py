"""The databases of the services: those of the last release without migrations come up whole, and so do new ones."""

import importlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from eventbus import Database, Schema
from eventbus.database import tables
from sqlalchemy import Connection, MetaData, insert, select
from stack.catalogue import services

# Made by that release: two orders on their way through the services. The files for PostgreSQL make the tables only.
BEFORE = Path(__file__).parent / "before_migrations"
SCHEMAS: dict[str, Schema] = {each.name: importlib.import_module(f"{each.name}.store").SCHEMA for each in services()}
OLD = [name for name in SCHEMAS if (BEFORE / f"{name}.sqlite.sql").exists()]

Rows = dict[str, list[dict[str, object]]]


@pytest.fixture
def database(new_database: Callable[[], str]) -> Iterator[Database]:
    database = Database(new_database())
    yield database
    database.close()


def tables_of(connection: Connection) -> MetaData:
    """Return the tables as they are in the database: another release's may differ from what this program has."""
    found = MetaData()
    found.reflect(connection)
    return found


def rows_of(connection: Connection) -> Rows:
    return {
        each.name: sorted((dict(row) for row in connection.execute(select(each)).mappings()), key=str)
        for each in tables_of(connection).sorted_tables
        if each.name not in ("alembic_version", "sqlite_sequence")
    }


def restore(database: Database, service: str, folder: Path) -> Rows:
    """Make *database* what that release left behind; return its rows."""
    old = Database(f"sqlite:///{folder}/old.db")
    with sqlite3.connect(folder / "old.db") as file:
        file.executescript((BEFORE / f"{service}.sqlite.sql").read_text())
    file.close()
    with old.read() as connection:
        rows = rows_of(connection)
    old.close()
    with database.write() as connection:
        for statement in (BEFORE / f"{service}.{connection.dialect.name}.sql").read_text().split(";\n"):
            if statement.startswith("CREATE"):
                connection.exec_driver_sql(statement)
        made = tables_of(connection).tables
        for table, its in rows.items():
            if its:
                connection.execute(insert(made[table]), its)
        return rows_of(connection)


@pytest.mark.parametrize("service", OLD)
def test_a_database_of_the_last_release_without_migrations_comes_up_with_all_its_rows(
    database: Database, service: str, tmp_path: Path
) -> None:
    before = restore(database, service, tmp_path)
    database.upgrade(SCHEMAS[service])
    with database.read() as connection:
        now = rows_of(connection)
    database.upgrade(SCHEMAS[service], only_check=True)

    # A later release may have further columns.
    for name, rows in before.items():
        known = [{column: row[column] for column in rows[0]} for row in now[name]] if rows else now[name]
        assert sorted(known, key=str) == rows
    assert sum(map(len, before.values())) >= 4


@pytest.mark.parametrize(
    ("service", "begins"), [*((name, "new") for name in SCHEMAS), *((name, "old") for name in OLD)]
)
def test_the_revisions_make_the_tables_that_the_program_works_with(
    database: Database, service: str, begins: str, tmp_path: Path
) -> None:
    if begins == "old":
        restore(database, service, tmp_path)
    database.upgrade(SCHEMAS[service])
    known = MetaData()
    for each in (*tables.metadata.sorted_tables, *SCHEMAS[service].metadata.sorted_tables):
        each.to_metadata(known)
    with database.read() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True}), known
        )

    assert differences == []


@pytest.mark.parametrize("service", SCHEMAS)
def test_each_revision_is_in_a_file_of_its_name_and_has_the_one_before_it_as_its_parent(service: str) -> None:
    schema = SCHEMAS[service]
    found = []
    for name in schema.names:
        content: dict[str, str | None] = {}
        exec((schema.revisions / f"{name}.py").read_text(), content)
        found.append((content["revision"], content["down_revision"]))

    assert found == list(zip(schema.names, [None, *schema.names], strict=False))
    assert schema.names[0] == f"{service}_0001"
