import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from eventbus.operator.cli import dlq, main

from libs.eventbus.tests.support import Kafka, OrderPlaced, encoded, eventually, read_status, unique

README = Path(__file__).parents[1] / "README.md"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


async def test_the_example_of_the_readme_works(kafka: Kafka, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    command = re.search(r"    ((?:[A-Z_]+=\S+ )+)\\\n +opentelemetry-instrument python shipping.py", README.read_text())
    assert command
    environment = dict(assignment.split("=", 1) for assignment in command[1].split())
    environment["KAFKA_BOOTSTRAP_SERVERS"] = kafka.broker
    (tmp_path / "shipping.py").write_text(example)
    parcel = unique("p")
    key, value, headers = encoded(OrderPlaced(order_id=parcel), ce_type=b"parcel.packed.v1")

    process = subprocess.Popen(  # noqa: ASYNC220 it takes no time
        [sys.executable, "shipping.py"], env={**os.environ, **environment}, cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        status = tmp_path / environment["STATUS_FILE"]
        await eventually("it is ready", lambda: read_status(status).get("ready"))
        await kafka.put("packed-parcels", (key, value.replace(b"order_id", b"parcel"), headers))
        while parcel.encode() not in [record.key for record in await kafka.records("shipped-parcels")]:
            assert process.poll() is None
    finally:
        process.terminate()
        exit_code = process.wait(timeout=60)

    assert exit_code == 0


@pytest.mark.parametrize("page", [README, OPERATIONS], ids=lambda page: page.name)
def test_the_commands_for_dead_letters_are_understood(page: Path) -> None:
    text = page.read_text()
    commands = re.findall(r"eventbus dlq ((?:list|show|redrive|purge)[^#\n`]*)|make dlq DO=\"([^\"]+)\"", text)

    assert len(commands) >= 4
    for name, *arguments in (shlex.split(plain or by_make) for plain, by_make in commands):
        dlq.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("page", [README, OPERATIONS], ids=lambda page: page.name)
def test_the_commands_for_lag_and_outbox_are_understood(page: Path) -> None:
    commands = re.findall(r"eventbus ((?:lag|outbox)\b[^#\n`]*)", page.read_text())

    assert len(commands) >= 3
    for name, *arguments in map(shlex.split, commands):
        main.commands[name].make_context(name, arguments)
