"""What only containers do: restart policies, replicas, volumes, hardening."""

import json
import os
import subprocess
from signal import SIGCONT, SIGSTOP
from typing import Any

import journey
import pytest

from tests.e2e.load import load
from tests.e2e.polling import poll_until
from tests.e2e.shop import Placed, Shop
from tests.e2e.system import REPOSITORY, ComposeSystem, docker

SERVICES = ("orders", "orders-worker", "billing", "notifier")


@pytest.mark.parametrize(("number", "part"), list(enumerate([*SERVICES, "kafka", "collector"])))
def test_what_is_killed_comes_back_and_no_order_is_lost(
    containers: ComposeSystem, shop: Shop, number: int, part: str
) -> None:
    restarts = int(containers.inspect(part, "{{.RestartCount}}"))
    with load(shop.place_in_spite_of_restarts, first=100_000 + 10_000 * number, threads=2) as accepted:
        poll_until(lambda: len(accepted) >= 20, "20 orders are accepted before the kill")
        containers.kill(part)
        poll_until(
            lambda: (
                int(containers.inspect(part, "{{.RestartCount}}")) > restarts
                and containers.inspect(part, "{{.State.Running}}") == "true"
            ),
            f"{part} is restarted by its policy",
        )
        already = len(accepted)
        poll_until(lambda: len(accepted) >= already + 20, "20 orders are accepted after the restart")

    shop.expect_mail_each(accepted, timeout=120)


def test_a_restart_of_everything_loses_no_order(containers: ComposeSystem, shop: Shop) -> None:
    before = shop.place_all(range(400, 420))
    # All but Mailpit, which forgets its e-mails.
    containers.compose("restart", *SERVICES, "kafka", "collector", "zipkin")
    containers.up()
    after = shop.place_all(range(420, 440))

    shop.expect_mail_each(before + after, timeout=120)
    shop.expect_exact_journeys(after, timeout=120)


def test_two_of_each_worker_share_the_work(containers: ComposeSystem, shop: Shop) -> None:
    workers = ("billing", "notifier", "orders-worker")
    scale = [argument for worker in workers for argument in ("--scale", f"{worker}=2")]
    containers.compose("up", "--detach", "--wait", *scale)
    try:
        assert [containers.replicas(worker) for worker in workers] == [[w, f"{w}-2"] for w in workers]
        for part in ("billing", "notifier"):
            for replica in containers.replicas(part):
                container = containers.container(replica)
                poll_until(lambda c=container: "/" in last_assignment(c), f"{replica} has partitions")
        orders = shop.place_all(range(500, 560))

        shop.expect_exact_journeys(orders)
        shop.expect_one_mail_each(orders)
        for part in ("billing", "notifier"):
            for replica in containers.replicas(part):
                handled = logs_of(containers.container(replica))
                assert any(order.order_id in handled for order in orders), f"{replica} had nothing to do"
        containers.kill(active_relay(containers))
        shop.expect_exact_journeys(shop.place_all(range(560, 570)))
    finally:
        containers.up()


def test_a_worker_that_hangs_is_unhealthy_and_its_health_check_says_why(containers: ComposeSystem) -> None:
    containers.signal("billing", SIGSTOP)
    try:
        poll_until(lambda: health(containers, "billing")["Status"] == "unhealthy", "billing is unhealthy", timeout=120)
        said = health(containers, "billing")["Log"][-1]["Output"]
    finally:
        containers.signal("billing", SIGCONT)

    assert '"ready": true' in said
    assert said.endswith(" hangs: no sign of life for 15 s\n")
    poll_until(lambda: health(containers, "billing")["Status"] == "healthy", "billing is healthy again")


def health(containers: ComposeSystem, part: str) -> dict[str, Any]:
    """Return what Docker knows of a part's health."""
    found: dict[str, Any] = json.loads(containers.inspect(part, "{{json .State.Health}}"))
    return found


def test_a_dead_letter_of_a_scenario_is_sent_back_within_its_trace(
    containers: ComposeSystem, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_FAULTS", "1")
    containers.up()
    try:
        order = shop.place(570, headers={"baggage": "demo.scenario=billing-poison"})
        poll_until(lambda: '"dead letter"' in containers.logs("billing"), "billing has given the order up")
        listed = containers.compose("run", "--rm", "-T", "eventbus", "dlq", "list")
        redriven = containers.compose("run", "--rm", "-T", "eventbus", "dlq", "redrive", "--order", order.order_id)
        shop.expect_mail_each([order])
        hops = {("billing", "send billing.dlq"), ("redrive", "send orders"), ("notifier", "send email")}
        poll_until(lambda: hops <= spans(shop, order), "the trace goes through the dead letters, and on")
    finally:
        monkeypatch.undo()
        containers.up()

    assert order.order_id in listed
    assert redriven.splitlines()[-1] == "redriven: 1 letter"


def spans(shop: Shop, order: Placed) -> set[tuple[str, str]]:
    """Return the service and the name of each span that Zipkin has of an order."""
    trace = journey.fetch(shop.zipkin_url, order.trace_id)
    return {(span.service, span.name) for span in trace.spans} if trace else set()


def active_relay(containers: ComposeSystem) -> str:
    """Return the orders worker that publishes; the other stands by."""
    workers = containers.replicas("orders-worker")
    publishing = [worker for worker in workers if '"published"' in logs_of(containers.container(worker))]
    assert len(publishing) == 1
    return publishing[0]


def logs_of(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def last_assignment(container: str) -> str:
    """Return the last log line that tells which partitions a worker has."""
    return next((line for line in reversed(logs_of(container).splitlines()) if "partitions assigned" in line), "")


def test_a_port_in_use_is_named(containers: ComposeSystem) -> None:
    port = containers.zipkin_url.rpartition(":")[2]
    second = {**os.environ, "COMPOSE_PROJECT_NAME": "second", "ZIPKIN_PORT": port}
    try:
        done = subprocess.run(
            ["docker", "compose", "up", "--detach", "zipkin"],
            cwd=REPOSITORY,
            env=second,
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["docker", "compose", "down"], cwd=REPOSITORY, env=second, capture_output=True, check=True)

    assert done.returncode != 0
    assert port in done.stderr
    assert "already" in done.stderr


@pytest.mark.parametrize("part", SERVICES)
def test_a_service_has_no_root_no_capability_and_nowhere_to_write(containers: ComposeSystem, part: str) -> None:
    assert containers.inspect(part, "{{.Config.User}}") == "10000"
    assert containers.inspect(part, "{{.HostConfig.ReadonlyRootfs}}") == "true"
    assert containers.inspect(part, "{{.HostConfig.CapDrop}}") == "[ALL]"
    assert containers.inspect(part, "{{.HostConfig.SecurityOpt}}") == "[no-new-privileges:true]"
    refused = subprocess.run(
        ["docker", "exec", containers.container(part), "touch", "/app/here"], capture_output=True, text=True
    )
    assert "Read-only file system" in refused.stderr


def test_after_a_thousand_orders_all_containers_need_less_than_two_gigabytes(
    containers: ComposeSystem, shop: Shop
) -> None:
    shop.expect_mail_each(shop.place_all(range(10_000, 11_000), threads=16), timeout=120)
    # With COMPOSE_ENV_FILES=deploy/postgres.env there is one more, for those who want it.
    parts = [part for part in containers.compose("config", "--services").split() if part != "postgres"]
    limits = [int(containers.inspect(part, "{{.HostConfig.Memory}}")) for part in parts]

    assert len(parts) == 8
    assert all(limits)
    assert sum(limits) <= 2 * 1024**3
    used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *(containers.container(p) for p in parts))
    print(used)
    assert sum(_bytes(line.split(" / ")[0]) for line in used.splitlines()) < 2 * 1024**3


def _bytes(text: str) -> float:
    units = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]
