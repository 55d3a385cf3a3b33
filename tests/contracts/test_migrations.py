"""The databases of the services: those of the last release without migrations come up whole, and so do new ones."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import billing.store
import notifier.store
import orders.store
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from eventbus import Database, Schema
from eventbus.database import tables
from sqlalchemy import MetaData, Row, Table, insert, select

# Made by that release: two orders on their way through the services. The files for PostgreSQL make the tables only.
BEFORE = Path(__file__).parent / "before_migrations"
STORES: dict[str, ModuleType] = {"orders": orders.store, "billing": billing.store, "notifier": notifier.store}

Rows = dict[str, list[Row[tuple[object, ...]]]]


@pytest.fixture(params=list(STORES))
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def database(new_database: Callable[[], str]) -> Iterator[Database]:
    database = Database(new_database())
    yield database
    database.close()


def tables_of(service: str) -> list[Table]:
    schema: Schema = STORES[service].SCHEMA
    return [*tables.metadata.sorted_tables, *schema.metadata.sorted_tables]


def rows_of(database: Database, service: str) -> Rows:
    with database.read() as connection:
        return {each.name: sorted(connection.execute(select(each)), key=str) for each in tables_of(service)}


def restore(database: Database, service: str, folder: Path) -> None:
    """Make *database* what that release left behind."""
    old = Database(f"sqlite:///{folder}/old.db")
    with sqlite3.connect(folder / "old.db") as file:
        file.executescript((BEFORE / f"{service}.sqlite.sql").read_text())
    file.close()
    with database.write() as connection:
        for statement in (BEFORE / f"{service}.{connection.dialect.name}.sql").read_text().split(";\n"):
            if statement.startswith("CREATE"):
                connection.exec_driver_sql(statement)
        for table, rows in rows_of(old, service).items():
            if rows:
                connection.execute(insert(by_name(service)[table]), [dict(row._mapping) for row in rows])
    old.close()


def by_name(service: str) -> dict[str, Table]:
    return {each.name: each for each in tables_of(service)}


def test_a_database_of_the_last_release_without_migrations_comes_up_with_all_its_rows(
    database: Database, service: str, tmp_path: Path
) -> None:
    restore(database, service, tmp_path)
    before = rows_of(database, service)
    database.upgrade(STORES[service].SCHEMA)
    after = rows_of(database, service)
    database.upgrade(STORES[service].SCHEMA, only_check=True)

    assert after == before
    assert sum(map(len, before.values())) >= 4


@pytest.mark.parametrize("begins", ["new", "old"])
def test_the_revisions_make_the_tables_that_the_program_works_with(
    database: Database, service: str, begins: str, tmp_path: Path
) -> None:
    if begins == "old":
        restore(database, service, tmp_path)
    database.upgrade(STORES[service].SCHEMA)
    known = MetaData()
    for each in tables_of(service):
        each.to_metadata(known)
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), known)

    assert differences == []


def test_each_revision_is_in_a_file_of_its_name_and_has_the_one_before_it_as_its_parent(service: str) -> None:
    schema: Schema = STORES[service].SCHEMA
    found = []
    for name in schema.names:
        content: dict[str, str | None] = {}
        exec((schema.revisions / f"{name}.py").read_text(), content)
        found.append((content["revision"], content["down_revision"]))

    assert found == list(zip(schema.names, [None, *schema.names], strict=False))
    assert schema.names[0] == f"{service}_0001"
