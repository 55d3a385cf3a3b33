"""`python -m billing` works, `python -m billing migrate` migrates."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from eventbus import Database

from billing.store import SCHEMA


def billing(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "billing", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )


def test_migrate_brings_the_database_up_to_date_and_needs_no_other_variable(database_url: str) -> None:
    first = billing("migrate", DATABASE_URL=database_url, MIGRATE="no")
    again = billing("migrate", DATABASE_URL=database_url)
    database = Database(database_url)
    database.upgrade(SCHEMA, only_check=True)
    database.close()

    assert (first.returncode, again.returncode) == (0, 0)
    assert '"the database is up to date"' in first.stderr


@pytest.mark.parametrize("url", ["", "sqlite:////nowhere/at/all.db"])
def test_migrate_says_in_one_line_why_it_cannot(url: str) -> None:
    ended = billing("migrate", DATABASE_URL=url)

    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith("DATABASE_URL") and len(ended.stderr.splitlines()) == 1


def test_a_worker_that_may_not_migrate_ends_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    ended = billing(
        DATABASE_URL=f"sqlite:///{tmp_path}/billing.db",
        MIGRATE="no",
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        INSTANCE_ID="billing-1",
        STATUS_FILE=str(tmp_path / "status.json"),
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        "DATABASE_URL: the database lacks billing_0001, eventbus_0001, and MIGRATE=no:"
        " migrate it first, like python -m SERVICE migrate\n"
    )


def test_another_argument_is_refused_with_what_there_is() -> None:
    ended = billing("upgrade")

    assert ended.returncode == 2
    assert ended.stderr == "no argument: work until SIGTERM; migrate: bring the database up to date\n"
