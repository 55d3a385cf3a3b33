import json
import threading
from pathlib import Path

from eventbus.status import Status


def read(file: Path) -> object:
    return json.loads(file.read_text())


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
