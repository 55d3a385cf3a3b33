"""Two of each worker: they share the work, and one goes on where the other ends."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stack import Settings, Stack, demo, probes, processes
from stack.polling import wait_until

pytestmark = pytest.mark.long

WORKERS = ("orders-worker", "billing", "notifier")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system, with two of each worker."""
    with Stack(Settings.isolated(tmp_path_factory.mktemp("pairs"), replicas=2)) as stack:
        stack.up()
        yield stack


@pytest.mark.parametrize(("worker", "topic"), [("billing", "orders"), ("notifier", "invoices")])
def test_the_partitions_are_shared(pairs: Stack, worker: str, topic: str) -> None:
    names = pairs.settings.replicas_of(worker)

    def objection() -> str | None:
        assigned = [_said(pairs, name, "partitions assigned") for name in names]
        partitions = [said[-1]["partitions"] if said else [] for said in assigned]
        shares = [[each for each in some if each.startswith(f"{topic}/")] for some in partitions]
        return None if sorted(map(len, shares)) == [1, 2] else f"{partitions}"

    wait_until(f"two {worker} share the partitions of {topic}", objection, timeout=60)


def test_one_worker_relays_while_the_other_stands_by_and_says_so_and_takes_over_after_a_kill(pairs: Stack) -> None:
    workers = pairs.settings.replicas_of("orders-worker")
    relaying = [name for name in workers if _said(pairs, name, "relaying")]
    standing_by = [name for name in workers if _said(pairs, name, "standing by: another relay has the outbox")]
    assert [relaying, standing_by] in (
        [["orders-worker"], ["orders-worker-2"]],
        [["orders-worker-2"], ["orders-worker"]],
    )
    pairs.kill(relaying[0])
    order = demo.place_order(pairs.settings.orders_url)
    demo.wait_for_journey(pairs.settings.zipkin_url, order["trace_id"])
    pairs.start(relaying[0])

    assert _said(pairs, standing_by[0], "relaying")
    assert _said(pairs, relaying[0], "standing by: another relay has the outbox")
    assert {status.state for status in pairs.status()} == {"ready"}


def test_each_replica_is_stopped_and_started_by_its_own_name(pairs: Stack) -> None:
    others = processes.leaders(pairs.settings.home).keys() - {"billing-2"}

    assert pairs.stop("billing-2") == 0
    assert processes.leaders(pairs.settings.home).keys() == others
    pairs.start("billing-2")
    assert {status.state for status in pairs.status()} == {"ready"}


def test_who_was_not_told_of_replicas_finds_them_all_the_same(pairs: Stack) -> None:
    untold = Stack(pairs.settings.model_copy(update={"replicas": 1}))

    assert untold.status() == pairs.status()
    untold.stop("billing-2")
    assert "billing-2" not in processes.leaders(pairs.settings.home)
    pairs.start("billing-2")


def test_a_worker_that_hangs_is_told_from_the_others_and_is_ready_again_when_it_goes_on(
    pairs: Stack, command: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "HANGS_AFTER_S", 4)
    assert command("signal", "billing-2", "STOP", STACK_FOLDER=str(pairs.settings.home)).wait(30) == 0
    wait_until("billing-2 hangs", lambda: None if "hangs" in _reasons(pairs).get("billing-2", "") else "no", timeout=60)
    hanging = _reasons(pairs)
    pairs.signal("billing-2", signal.SIGCONT)

    assert re.fullmatch(r"hangs: last sign of life \d+ s ago", hanging["billing-2"])
    wait_until("all are ready again", lambda: str(reasons) if (reasons := _reasons(pairs)) else None, timeout=60)


def _reasons(stack: Stack) -> dict[str, str]:
    """Return why each part that is not ready is not."""
    return {status.part: status.reason for status in stack.status() if status.state != "ready"}


def _said(stack: Stack, part: str, message: str) -> list[dict[str, Any]]:
    """Return the lines of a worker's log that have this message."""
    lines = (json.loads(line) for line in stack.log(part).read_text().splitlines() if line.startswith("{"))
    return [line for line in lines if line["message"] == message]
