"""The worker as a process."""

import subprocess
import sys


def test_a_worker_without_an_environment_names_every_variable_and_ends_with_2() -> None:
    ended = subprocess.run([sys.executable, "-m", "orders"], env={}, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert [line.split()[0] for line in ended.stderr.splitlines()] == [
        "DATABASE_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "STATUS_FILE",
    ]
    assert ended.stdout == ""
