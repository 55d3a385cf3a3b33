"""Orders that cannot be stored for want of room are put off, and nothing of them is stored."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from eventbus import Database, OutboxLimit
from eventbus.database import tables
from eventbus.outbox import limits
from flask.testing import FlaskClient
from sqlalchemy import delete, text

from orders import store
from orders.app import create_app

from .test_problems import problem, rows

KEY = {"Idempotency-Key": "cart-17"}


@pytest.fixture
def looking_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Database]:
    """For disks: a server such as PostgreSQL watches over its own."""
    database = Database(f"sqlite:///{tmp_path}/orders.db")
    database.upgrade(store.SCHEMA)
    yield database
    database.close()


def limited(database: Database, **limit: int) -> FlaskClient:
    return create_app(database, outbox_limit=OutboxLimit(**limit)).test_client()


@pytest.mark.usefixtures("looking_always")
def test_while_the_outbox_is_full_orders_are_put_off_and_nothing_is_stored(
    database: Database, order: dict[str, Any]
) -> None:
    client = limited(database, max_rows=2)
    stored = [client.post("/orders", json=order, headers=headers) for headers in (KEY, {})]
    refused, ready = client.post("/orders", json=order), client.get("/readyz")
    repeated, shown = client.post("/orders", json=order, headers=KEY), client.get(stored[1].headers["Location"])
    held = rows(database)
    with database.write() as connection:
        connection.execute(delete(tables.outbox))
    later = client.post("/orders", json=order), client.get("/readyz")

    for answer in (refused, ready):
        status, document = problem(answer)
        assert (status, answer.headers["Retry-After"]) == (503, "10")
        assert "Nothing was stored: 2 events or more wait in the outbox to be published." in document["detail"]
    assert held == {"orders": 2, "outbox": 2}
    assert (repeated.status_code, repeated.get_json()) == (202, stored[0].get_json())
    assert shown.status_code == 200
    assert [answer.status_code for answer in later] == [202, 200]


@pytest.mark.usefixtures("looking_always")
def test_before_the_disk_is_full_orders_are_put_off(on_sqlite: Database, order: dict[str, Any]) -> None:
    client = limited(on_sqlite, min_free_disk_mb=10**9)
    answers = [client.post("/orders", json=order), client.get("/readyz")]

    for answer in answers:
        status, document = problem(answer)
        assert (status, answer.headers["Retry-After"]) == (503, "10")
        assert "MB of disk are free" in document["detail"]
    assert rows(on_sqlite) == {"orders": 0, "outbox": 0}


def test_a_database_that_may_not_grow_puts_orders_off_until_it_may(on_sqlite: Database, order: dict[str, Any]) -> None:
    client = create_app(on_sqlite).test_client()

    def let_grow(pages: int) -> None:
        with on_sqlite.write() as connection:  # the writing side has one connection, which keeps the setting
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    let_grow(1)  # as many as there are
    answers = [client.post("/orders", json=order) for _ in range(200)]
    let_grow(1_000_000)
    later = client.post("/orders", json=order)

    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    for answer in refused:
        status, document = problem(answer)
        assert (status, answer.headers["Retry-After"]) == (503, "2")
        assert "Nothing was stored" in document["detail"]
    assert refused
    assert later.status_code == 202
    assert rows(on_sqlite) == {"orders": len(accepted) + 1, "outbox": len(accepted) + 1}


MOUNT = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--user", "--map-root-user"])]
SMALL_DISK = 'mount -t tmpfs -o size=6m tmpfs "$1" && shift && exec "$@"'


@contextmanager
def on_a_small_disk(folder: Path, **environment: str) -> Iterator[tuple[str, Path]]:
    """Run the web process with its database on a disk of 6 MB; yields its address and that disk.

    The disk is mounted for that process alone, and goes with it.
    """
    database, port_file = folder / "disk" / "orders.db", folder / "log"
    database.parent.mkdir()
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:orders.gunicorn_conf", "-b", "127.0.0.1:0"]
    with port_file.open("w") as log:
        process = subprocess.Popen(
            [*MOUNT, "sh", "-c", SMALL_DISK, "sh", str(database.parent), *gunicorn, "orders.wsgi:app"],
            env={**os.environ, "DATABASE_URL": f"sqlite:///{database}", **environment},
            stderr=log,
        )
    try:
        port = eventually("it listens", lambda: listening(port_file.read_text()))
        yield f"http://127.0.0.1:{port}", Path(f"/proc/{process.pid}/root{database.parent}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def listening(log: str) -> str:
    """Return the port that gunicorn says it listens on."""
    messages = [json.loads(line)["message"] for line in log.splitlines() if line.startswith("{")]
    return next((m.rpartition(":")[2].split()[0] for m in messages if m.startswith("Listening at")), "")


def eventually(what: str, look: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"after {seconds} s still not true: {what}"
        time.sleep(0.05)
    return answer


needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*MOUNT, "true"], capture_output=True).returncode != 0,
    reason="this machine lets nobody mount a disk for one process",
)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill a disk but for *leave* bytes; returns the file that does so."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(disk).free - leave) > 0:
            file.write(bytes(min(free, 65536)))
    return ballast


@needs_mounts
def test_a_full_disk_puts_orders_off_and_they_are_taken_again_when_there_is_room(
    tmp_path: Path, order: dict[str, Any]
) -> None:
    with on_a_small_disk(tmp_path, MIN_FREE_DISK_MB="0") as (address, disk):
        first = requests.post(f"{address}/orders", json=order, timeout=20)
        ballast = fill(disk)
        answers = [requests.post(f"{address}/orders", json=order, timeout=20) for _ in range(200)]
        shown = requests.get(f"{address}{first.headers['Location']}", timeout=20)
        ballast.unlink()
        later = requests.post(f"{address}/orders", json=order, timeout=20)
        database = Database(f"sqlite:///{shutil.copytree(disk, tmp_path / 'copy')}/orders.db")
        stored = rows(database)
        database.close()

    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "Nothing was stored" in answer.json()["detail"]
    assert (first.status_code, shown.status_code, later.status_code) == (202, 200, 202)
    assert stored == {"orders": len(accepted) + 2, "outbox": len(accepted) + 2}


@needs_mounts
def test_a_nearly_full_disk_is_left_alone_and_the_process_is_not_ready_meanwhile(
    tmp_path: Path, order: dict[str, Any]
) -> None:
    with on_a_small_disk(tmp_path, MIN_FREE_DISK_MB="2") as (address, disk):
        ready = requests.get(f"{address}/readyz", timeout=20)
        ballast = fill(disk, leave=2 * 1024 * 1024 - 1)
        refusal = eventually("it is not ready", lambda: not requests.get(f"{address}/readyz", timeout=20).ok)
        answer = requests.post(f"{address}/orders", json=order, timeout=20)
        ballast.unlink()
        eventually("it is ready", lambda: requests.get(f"{address}/readyz", timeout=20).ok)
        later = requests.post(f"{address}/orders", json=order, timeout=20)

    assert ready.status_code == 200 and refusal
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Nothing was stored: less than 2 MB of disk are free." in answer.json()["detail"]
    assert later.status_code == 202
