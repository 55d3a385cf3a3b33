"""What the tests start is stopped, however a run of them ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from stack.polling import wait_until
from stack.processes import lives

pytestmark = pytest.mark.long

_ROOT = Path(__file__).parents[1]
# What it starts leads a session of its own, as parts of a stack do. It cannot be interrupted, so it does not tidy up.
_TEST = """
import subprocess, threading
from pathlib import Path

def test_which_hangs():
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path("child.part").write_text(str(child.pid))
    Path("child.part").rename("child")
    while True:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "test_it.py").write_text(_TEST)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_RUN", "PYTEST_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "1",
        "-p",
        "conftest",
        "--rootdir",
        str(tmp_path),
        "-c",
        os.devnull,
    ]
    with (tmp_path / "output").open("wb") as output:
        run = subprocess.Popen(
            [*command, "test_it.py"],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(_ROOT)},
            stdout=output,
            stderr=output,
        )
    yield run
    run.kill()
    run.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_leaves_no_process_that_a_test_has_started(
    run: subprocess.Popen[bytes], number: signal.Signals, tmp_path: Path
) -> None:
    wait_until("start the child", lambda: None if (tmp_path / "child").exists() else "not there", timeout=60)
    child = psutil.Process(int((tmp_path / "child").read_text()))
    run.send_signal(number)
    run.wait(60)
    assert not lives(child), (tmp_path / "output").read_text()
