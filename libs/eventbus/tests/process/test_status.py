import json
import shutil
import threading
from datetime import datetime
from pathlib import Path

import pytest
from eventbus.process.status import Status


def read(file: Path) -> object:
    status = json.loads(file.read_text())
    datetime.fromisoformat(status.pop("at"))
    return status


def test_a_worker_is_ready_once_all_of_its_parts_have_started(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    status = Status(file, "relay", "worker")
    seen = [read(file)]
    for part in ("service", "relay", "worker"):
        status.fine(part)
        seen.append(read(file))

    assert seen == [
        {"ready": False, "reason": "service: starting; relay: starting; worker: starting"},
        {"ready": False, "reason": "relay: starting; worker: starting"},
        {"ready": False, "reason": "worker: starting"},
        {"ready": True, "reason": ""},
    ]


def test_a_worker_is_not_ready_while_any_part_is_in_trouble(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    status = Status(file)
    status.fine("service")
    seen = []
    for change in (
        lambda: status.trouble("relay", "no broker"),
        lambda: status.trouble("worker", "no database"),
        lambda: status.trouble("relay", "no answer"),
        lambda: status.fine("worker"),
        lambda: status.fine("relay"),
    ):
        change()
        seen.append(read(file))

    assert seen == [
        {"ready": False, "reason": "relay: no broker"},
        {"ready": False, "reason": "relay: no broker; worker: no database"},
        {"ready": False, "reason": "relay: no answer; worker: no database"},
        {"ready": False, "reason": "relay: no answer"},
        {"ready": True, "reason": ""},
    ]


def test_a_reader_never_sees_half_of_a_status(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    status = Status(file)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            status.trouble("relay", "x" * 10_000)
            status.fine("relay")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        seen = [read(file) for _ in range(1000)]
    finally:
        stop.set()
        writer.join()

    assert all(isinstance(each, dict) and set(each) == {"ready", "reason"} for each in seen)
    assert list(tmp_path.iterdir()) == [file]


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    status = Status(file)
    status.trouble("relay", "no broker")
    before = file.stat().st_ino
    status.trouble("relay", "no broker")
    status.fine("worker")

    assert file.stat().st_ino == before


def test_a_beat_says_when_the_worker_was_alive(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    status = Status(file)
    times = []
    for _ in range(2):
        status.beat()
        times.append(datetime.fromisoformat(json.loads(file.read_text())["at"]))

    assert times[0].tzinfo is not None
    assert times[0] <= times[1]


def test_a_status_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "status"
    folder.mkdir()
    status = Status(folder / "status.json")
    shutil.rmtree(folder)
    status.trouble("relay", "no broker")

    assert "the status cannot be written" in caplog.messages
