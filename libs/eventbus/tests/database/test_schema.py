"""A database is brought up to date at the start of a process: by one at a time, whole or not at all."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from eventbus import Database, Schema
from eventbus.database import tables
from eventbus.database.schema import OWN
from sqlalchemy import Column, Integer, MetaData, Table, inspect, text

REVISION = """
import os, signal
import sqlalchemy as sa
from alembic import op

revision = "shop_{number:04}"
down_revision = {before!r}
branch_labels = {label!r}

def upgrade():
    op.{change}
    {then}
"""
TABLE = 'create_table("parcels", sa.Column("number", sa.Integer, primary_key=True))'
COLUMN = 'add_column("parcels", sa.Column("weight", sa.Integer))'


class Shop:
    """A service whose second release has a column more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.first = Schema(self._metadata(), self._revise(1, TABLE))
        self.second = Schema(self._metadata(Column("weight", Integer)), self._revise(2, COLUMN))

    def _metadata(self, *columns: Column[int]) -> MetaData:
        metadata = MetaData()
        Table("parcels", metadata, Column("number", Integer, primary_key=True), *columns)
        return metadata

    def _revise(self, release: int, change: str, then: str = "") -> Path:
        folder = self._folder / f"release-{release}"
        folder.mkdir(exist_ok=True)
        for number, each in enumerate([TABLE, change][:release], start=1):
            before = f"shop_{number - 1:04}" if number > 1 else None
            label = None if before else ("shop",)
            revision = REVISION.format(number=number, before=before, label=label, change=each, then=then)
            (folder / f"shop_{number:04}.py").write_text(revision)
        return folder

    def dying(self) -> Schema:
        """The second release, whose migration is killed when it is about to end."""
        folder = self._revise(2, COLUMN, then="os.kill(os.getpid(), signal.SIGKILL)")
        return Schema(self.second.metadata, folder)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def columns(database: Database, table: str = "parcels") -> list[str]:
    with database.read() as connection:
        return [column["name"] for column in inspect(connection).get_columns(table)]


def revisions(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.scalars(text("SELECT version_num FROM alembic_version")))


def store_a_parcel(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO parcels (number) VALUES (7)"))


def parcels(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(text("SELECT number FROM parcels")))


def test_a_new_release_brings_the_database_up_to_date_and_keeps_what_is_in_it(empty: Database, shop: Shop) -> None:
    empty.upgrade(shop.first)
    store_a_parcel(empty)
    before = columns(empty), revisions(empty)
    for _ in range(2):
        empty.upgrade(shop.second)

    assert before == (["number"], ["eventbus_0001", "shop_0001"])
    assert columns(empty) == ["number", "weight"]
    assert revisions(empty) == ["eventbus_0001", "shop_0002"]
    assert parcels(empty) == [7]


def test_the_release_before_is_refused_with_one_line_and_changes_nothing(empty: Database, shop: Shop) -> None:
    empty.upgrade(shop.second)
    with pytest.raises(SystemExit) as end:
        empty.upgrade(shop.first)

    assert end.value.code == (
        "DATABASE_URL: the database is newer than this program, which does not know shop_0002:"
        " start the newer program again"
    )
    assert (columns(empty), revisions(empty)) == (["number", "weight"], ["eventbus_0001", "shop_0002"])


def test_who_only_checks_changes_nothing_and_says_what_is_missing(empty: Database, shop: Shop) -> None:
    empty.upgrade(shop.first)
    with pytest.raises(SystemExit) as end:
        empty.upgrade(shop.second, only_check=True)
    before = columns(empty)
    empty.upgrade(shop.second)
    empty.upgrade(shop.second, only_check=True)

    assert str(end.value.code).startswith(
        "DATABASE_URL: the database lacks shop_0002, and MIGRATE=no: migrate it first"
    )
    assert before == ["number"]


def test_who_only_checks_a_database_without_anything_says_so(empty: Database, shop: Shop) -> None:
    with pytest.raises(SystemExit, match="lacks eventbus_0001, shop_0001, and MIGRATE=no"):
        empty.upgrade(shop.first, only_check=True)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # nothing of this process is used there
def test_processes_that_start_together_on_a_new_database_all_get_it(
    database_url: str, empty: Database, shop: Shop
) -> None:
    def start() -> None:
        together.wait()
        database = Database(database_url)
        database.upgrade(shop.second)
        with database.write() as connection:
            connection.execute(text("INSERT INTO parcels (number) VALUES (:pid)"), {"pid": os.getpid()})
        database.close()

    forking = multiprocessing.get_context("fork")
    together: threading.Barrier = forking.Barrier(6)
    processes = [forking.Process(target=start) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)

    assert [process.exitcode for process in processes] == [0] * 6
    assert sorted(parcels(empty)) == sorted(process.pid for process in processes if process.pid)


MIGRATES = """
import sys
from pathlib import Path
from eventbus import Database, Schema
from sqlalchemy import MetaData
Database(sys.argv[1]).upgrade(Schema(MetaData(), Path(sys.argv[2])))
"""


def test_a_migration_that_is_killed_in_its_midst_leaves_all_as_it_was(
    database_url: str, empty: Database, shop: Shop
) -> None:
    empty.upgrade(shop.first)
    store_a_parcel(empty)
    killed = subprocess.run([sys.executable, "-c", MIGRATES, database_url, str(shop.dying().revisions)])
    left = columns(empty), revisions(empty)
    empty.upgrade(Shop(shop.first.revisions.parent).second)

    assert killed.returncode == -signal.SIGKILL
    assert left == (["number"], ["eventbus_0001", "shop_0001"])
    assert (columns(empty), parcels(empty)) == (["number", "weight"], [7])


def test_the_bus_s_revisions_make_the_tables_that_it_works_with(empty: Database) -> None:
    empty.upgrade()
    with empty.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)

    assert differences == []


def test_each_revision_is_in_a_file_of_its_name_and_has_the_one_before_it_as_its_parent() -> None:
    names = OWN.names
    found: list[tuple[str, str | None]] = []
    for name in names:
        content: dict[str, str | None] = {}
        exec((OWN.revisions / f"{name}.py").read_text(), content)
        found.append((content["revision"] or "", content["down_revision"]))

    assert found == list(zip(names, [None, *names], strict=False))


def test_a_table_without_a_column_that_the_program_needs_ends_the_process_with_one_line(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("ALTER TABLE inbox RENAME COLUMN handled_at TO done_at"))
    with pytest.raises(SystemExit) as end:
        database.upgrade()

    assert end.value.code == "DATABASE_URL: the table inbox has no column handled_at: add it first"
