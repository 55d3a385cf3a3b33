"""The database server: whose it is, how it stops, what it keeps."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from stack import Settings, Stack, postgres


@pytest.fixture
def server(settings: Settings) -> Iterator[Stack]:
    if reason := postgres.objection():
        pytest.skip(reason)
    with Stack(settings) as stack:
        stack.up("postgres")
        yield stack


def session(stack: Stack, user: str, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=stack.settings.postgres_port, user=user, dbname=database, autocommit=True
    )


def test_each_role_is_let_into_its_own_database_only_and_nobody_is_superuser(server: Stack) -> None:
    for name in postgres.databases():
        with session(server, name, name) as connection:
            (superuser,) = connection.execute("SELECT usesuper FROM pg_user WHERE usename = user").fetchone() or ()
            connection.execute("CREATE TABLE mine (id integer)")
        assert not superuser
    for user, database in [("billing", "orders"), ("postgres", "postgres"), ("postgres", "orders")]:
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
            session(server, user, database)


def test_a_stop_does_not_wait_for_clients_and_a_kill_loses_nothing_that_was_committed(server: Stack) -> None:
    with session(server, "test", "test") as connection:
        (fsync,) = connection.execute("SHOW fsync").fetchone() or ()
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept VALUES (1)")
        exit_code = server.stop("postgres")
    server.start("postgres")
    with session(server, "test", "test") as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
        server.kill("postgres")
    server.start("postgres")
    with session(server, "test", "test") as connection:
        kept = connection.execute("SELECT number FROM kept ORDER BY number").fetchall()

    assert fsync == "on"
    assert exit_code == 0
    assert kept == [(1,), (2,)]


def test_where_nobody_else_can_be_root_says_why_no_server_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "_ANOTHER_USER", ["sh", "-c", "echo not permitted >&2; exit 1"])
    refused = postgres.objection()
    monkeypatch.setattr(postgres, "_ANOTHER_USER", ["/no/such/program"])
    missing = postgres.objection()

    for reason in (refused, missing):
        assert reason
        assert reason.startswith("PostgreSQL refuses to run as root")
    assert "not permitted" in str(refused)
