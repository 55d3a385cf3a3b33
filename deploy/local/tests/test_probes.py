"""What a worker's status file says about it."""

import json
import os
import time
from pathlib import Path

import pytest
from stack.probes import status_ready


@pytest.mark.parametrize(
    ("status", "age", "objection"),
    [
        ({"ready": True, "reason": ""}, 0, None),
        ({"ready": True, "reason": ""}, 14, None),
        ({"ready": True, "reason": ""}, 40, "hangs: last sign of life 40 s ago"),
        ({"ready": False, "reason": "broker: away"}, 0, "not ready: broker: away"),
        ({"ready": False, "reason": "broker: away"}, 40, "hangs: last sign of life 40 s ago"),
        ({"ready": False}, 0, "not ready: no reason given"),
        ([], 0, "status.json makes no sense: TypeError('list indices must be integers or slices, not str')"),
    ],
)
def test_a_worker_is_ready_if_it_says_so_and_said_it_lately(
    tmp_path: Path, status: object, age: float, objection: str | None
) -> None:
    file = tmp_path / "status.json"
    file.write_text(json.dumps(status))
    os.utime(file, (time.time() - age,) * 2)

    assert status_ready(file)() == objection


def test_a_worker_that_never_said_anything_is_not_ready(tmp_path: Path) -> None:
    assert status_ready(tmp_path / "status.json")() == "has not written its status yet"
